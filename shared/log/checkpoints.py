"""Signed checkpoints of a log: what size its tree has, and what root (C2SP tlog-checkpoint, signed-note)."""

import base64
import hashlib
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_ED25519: Final = b"\x01"  # the signature type of signed-note


def key_id(name: str, typed_key: bytes) -> bytes:
    """Return the id of a key in signed notes: by its name, and the key after its type."""
    return hashlib.sha256(name.encode() + b"\n" + typed_key).digest()[:4]


class LogSigner:
    """Signs a log's checkpoints by Ed25519; another key makes another log, so the key is part of its name."""

    def __init__(self, service: str, key: bytes) -> None:
        """`key`: 32 bytes, secret."""
        self._key = Ed25519PrivateKey.from_private_bytes(key)
        public = self._key.public_key().public_bytes_raw()
        self.origin = f"skillplan/{service}/{hashlib.sha256(public).hexdigest()[:8]}"
        self._id = key_id(self.origin, _ED25519 + public)
        encoded = base64.b64encode(_ED25519 + public).decode()
        self.verifier_key = f"{self.origin}+{self._id.hex()}+{encoded}"

    def checkpoint(self, size: int, root: bytes) -> str:
        """Return the signed checkpoint of a tree."""
        return self.note(f"{self.origin}\n{size}\n{base64.b64encode(root).decode()}\n")

    def note(self, text: str) -> str:
        """Return whole lines as a signed note (C2SP signed-note); only a checkpoint begins with the origin."""
        signature = base64.b64encode(self._id + self._key.sign(text.encode())).decode()
        return f"{text}\n— {self.origin} {signature}\n"
