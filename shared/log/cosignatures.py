"""Cosignatures of a log's checkpoints by witnesses elsewhere (C2SP tlog-cosignature), and how they are asked for.

The request is that of C2SP tlog-witness: the size of the tree that the witness has cosigned, the proof that the new
tree begins with it, and the signed checkpoint.
"""

import base64
import binascii
import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from shared.log.checkpoints import key_id
from shared.log.tree import SIZE
from shared.plan.witnesses import COSIGNATURE, public_key

SIZE_TYPE: Final = "text/x.tlog.size"
MOST_PROOF: Final = 63
_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,18}")
_STAMP: Final = 8
_ID: Final = 4


class Malformed(ValueError):
    """Not what the specification says; the text names what."""


class TreeHead(NamedTuple):
    """What a checkpoint says of a log's tree; `text` is what is signed, up to its last newline."""

    origin: str
    size: int
    root: bytes
    text: str
    signatures: tuple[str, ...]


class Submission(NamedTuple):
    """A request for a cosignature."""

    old: int
    proof: list[bytes]
    note: str


def base64_of(encoded: str) -> bytes:
    """Return the bytes of canonical base64; raises Malformed."""
    try:
        raw = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise Malformed("no base64") from None
    if base64.b64encode(raw).decode() != encoded:
        raise Malformed("base64 that is not canonical")
    return raw


def hash_of(encoded: str) -> bytes:
    """Return a hash written in base64; raises Malformed."""
    if len(raw := base64_of(encoded)) != SIZE:
        raise Malformed("no hash of 32 bytes")
    return raw


def number_of(text: str) -> int:
    """Return a decimal number without leading zeroes; raises Malformed."""
    if not _NUMBER.fullmatch(text):
        raise Malformed("no decimal number")
    return int(text)


def read_checkpoint(note: str) -> TreeHead:
    """Return what a checkpoint says, whoever has signed it; raises Malformed."""
    text, separator, rest = note.partition("\n\n")
    lines = text.split("\n")
    if not separator or len(lines) < 3 or not all(lines) or not rest.endswith("\n"):  # noqa: PLR2004
        raise Malformed("no checkpoint")
    signatures = tuple(rest[:-1].split("\n"))
    if not all(line.startswith("— ") for line in signatures):
        raise Malformed("no signature lines")
    return TreeHead(lines[0], number_of(lines[1]), hash_of(lines[2]), text + "\n", signatures)


def signature_by(name: str, id_: bytes, line: str) -> bytes | None:
    """Return the signature in a line of a note when it is by the key of this name and id, without the id."""
    dash, given, encoded = (*line.split(" "), "", "")[:3]
    if dash != "—" or given != name:
        return None
    try:
        raw = base64_of(encoded)
    except Malformed:
        return None
    return raw[_ID:] if raw[:_ID] == id_ else None


class LogKey:
    """The verifier key of a log, by which its checkpoints are checked; raises ValueError for anything else."""

    def __init__(self, verifier_key: str) -> None:
        name, id_, encoded = (*verifier_key.split("+", 2), "", "")[:3]
        raw = base64.b64decode(encoded, validate=True)
        if raw[:1] != b"\1" or key_id(name, raw).hex() != id_:
            raise ValueError("no verifier key of a log")
        self.origin, self._id = name, bytes.fromhex(id_)
        self._key = Ed25519PublicKey.from_public_bytes(raw[1:])

    def has_signed(self, head: TreeHead) -> bool:
        """Return whether a checkpoint is signed by this key; a wrong signature beside a right one spoils it."""
        signed = [by for line in head.signatures if (by := signature_by(self.origin, self._id, line)) is not None]
        return bool(signed) and all(_verified(self._key, signature, head.text.encode()) for signature in signed)


class Cosigner:
    """A witness by its verifier key; raises ValueError for anything else."""

    def __init__(self, verifier_key: str) -> None:
        self.name, self._id, public = public_key(verifier_key)
        self.verifier_key = verifier_key
        self._key = Ed25519PublicKey.from_public_bytes(public)

    def cosigned_at(self, text: str, lines: Sequence[str]) -> tuple[str, int] | None:
        """Return the line by which this witness has cosigned a checkpoint, and when in seconds; None without one."""
        for line in lines:
            raw = signature_by(self.name, self._id, line)
            if raw is None or len(raw) <= _STAMP:
                continue
            at = int.from_bytes(raw[:_STAMP])
            if at and _verified(self._key, raw[_STAMP:], cosigned_text(text, at)):
                return line, at
        return None


def cosigned_text(text: str, at: int) -> bytes:
    """Return what a witness signs of a checkpoint at a time in seconds."""
    return f"cosignature/v1\ntime {at}\n{text}".encode()


def _verified(key: Ed25519PublicKey, signature: bytes, message: bytes) -> bool:
    try:
        key.verify(signature, message)
    except InvalidSignature:
        return False
    return True


class CosigningKey:
    """The secret key of a witness, 32 bytes, and the name under which it cosigns."""

    def __init__(self, name: str, key: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(key)
        self._name = name
        raw = COSIGNATURE + self._key.public_key().public_bytes_raw()
        self._id = key_id(name, raw)
        self.verifier_key = f"{name}+{self._id.hex()}+{base64.b64encode(raw).decode()}"

    def cosign(self, text: str, at: int) -> str:
        """Return the line by which a checkpoint is cosigned at a time in seconds."""
        signed = self._id + at.to_bytes(_STAMP) + self._key.sign(cosigned_text(text, at))
        return f"— {self._name} {base64.b64encode(signed).decode()}\n"


def submission(given: Submission) -> str:
    """Return the body of a request for a cosignature."""
    proof = "".join(base64.b64encode(hash_).decode() + "\n" for hash_ in given.proof)
    return f"old {given.old}\n{proof}\n{given.note}"


def read_submission(body: str) -> Submission:
    """Return a request for a cosignature by its body; raises Malformed."""
    head, separator, note = body.partition("\n\n")
    first, *proof = head.split("\n")
    word, _, old = first.partition(" ")
    if not separator or word != "old" or len(proof) > MOST_PROOF:
        raise Malformed("no request of add-checkpoint")
    return Submission(number_of(old), [hash_of(line) for line in proof], note)
