"""Signed checkpoints of a log: what size its tree has, and what root (C2SP tlog-checkpoint, signed-note)."""

import base64
import hashlib
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from shared.log import sm2

_ED25519: Final = b"\x01"  # the signature type of signed-note


def key_id(name: str, typed_key: bytes) -> bytes:
    """Return the id of a key in signed notes: by its name, and the key after its type."""
    return hashlib.sha256(name.encode() + b"\n" + typed_key).digest()[:4]


class LogSigner:
    """Signs a log's checkpoints by Ed25519; another key makes another log, so the key is part of its name.

    By SM2, too, where it has a key for that: a second line, which those who have not its public key pass over.
    """

    def __init__(self, service: str, key: bytes, sm2_key: str = "") -> None:
        """`key`: 32 bytes, secret. `sm2_key`: as Sm2Signer wants it."""
        self._key = Ed25519PrivateKey.from_private_bytes(key)
        public = self._key.public_key().public_bytes_raw()
        self.origin = f"skillplan/{service}/{hashlib.sha256(public).hexdigest()[:8]}"
        self.verifier_key = self._verifier_key(_ED25519 + public)
        self._sm2 = sm2.Sm2Signer(sm2_key) if sm2_key else None
        self.sm2_verifier_key = self._verifier_key(sm2.TYPE + self._sm2.public) if self._sm2 else None

    def checkpoint(self, size: int, root: bytes) -> str:
        """Return the signed checkpoint of a tree."""
        return self.note(f"{self.origin}\n{size}\n{base64.b64encode(root).decode()}\n")

    def note(self, text: str) -> str:
        """Return whole lines as a signed note (C2SP signed-note); only a checkpoint begins with the origin."""
        note = f"{text}\n{self._line(self.verifier_key, self._key.sign(text.encode()))}"
        if self._sm2 and self.sm2_verifier_key:
            note += self._line(self.sm2_verifier_key, self._sm2.sign(text.encode()))
        return note

    def _verifier_key(self, typed_key: bytes) -> str:
        encoded = base64.b64encode(typed_key).decode()
        return f"{self.origin}+{key_id(self.origin, typed_key).hex()}+{encoded}"

    def _line(self, verifier_key: str, signature: bytes) -> str:
        signed = bytes.fromhex(verifier_key.split("+")[1]) + signature
        return f"— {self.origin} {base64.b64encode(signed).decode()}\n"
