"""Seals what is personal: the fields of a person under that person's own key, unreadable bytes under the service's."""

import base64
import hmac
import os
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap


class PersonKey(NamedTuple):
    """The key of one person, and how it is stored."""

    key: bytes
    wrapped: bytes


class Seal:
    """AES-256-GCM under keys that the service's own 32-byte key wraps (RFC 3394).

    `old`: the service's key from before, while what it wrapped is not rewrapped; it opens and wraps nothing new.
    """

    def __init__(self, service_key: bytes, old: bytes = b"") -> None:
        keys = [service_key, old] if old else [service_key]
        self._wrappings = [hmac.digest(key, b"person-keys", "sha256") for key in keys]
        self._quarantines = [AESGCM(hmac.digest(key, b"quarantine", "sha256")) for key in keys]
        self._digest = hmac.digest(service_key, b"quarantine-digest", "sha256")

    def new_key(self) -> PersonKey:
        """Make the key of one person; destroying it erases what it sealed."""
        key = os.urandom(32)
        return PersonKey(key, self._wrap(key))

    def rewrap(self, wrapped: bytes) -> bytes:
        """Return a person's key wrapped by the service's key of now; raises InvalidUnwrap when it is another's."""
        return self._wrap(self._unwrap(wrapped))

    def _wrap(self, key: bytes) -> bytes:
        return aes_key_wrap(self._wrappings[0], key)

    def _unwrap(self, wrapped: bytes) -> bytes:
        for wrapping in self._wrappings[:-1]:
            try:
                return aes_key_unwrap(wrapping, wrapped)
            except InvalidUnwrap:
                continue
        return aes_key_unwrap(self._wrappings[-1], wrapped)

    def seal(self, wrapped: bytes, token: str, personal: bytes, new: PersonKey | None = None) -> str:
        """Return the personal fields sealed for one person, as base64 of nonce and ciphertext; `new`: a key that was
        made for them, which `wrapped` may be."""
        nonce = os.urandom(12)
        key = new.key if new is not None and new.wrapped == wrapped else self._unwrap(wrapped)
        sealed = AESGCM(key).encrypt(nonce, personal, token.encode())
        return base64.b64encode(nonce + sealed).decode()

    def unseal(self, wrapped: bytes, token: str, sealed: str) -> bytes:
        """Return the personal fields again; raises InvalidTag when they were not sealed for this person."""
        raw = base64.b64decode(sealed)
        return AESGCM(self._unwrap(wrapped)).decrypt(raw[:12], raw[12:], token.encode())

    def seal_unreadable(self, raw: bytes, place: str) -> bytes:
        """Return bytes that could not be read, sealed under the service's key and bound to their place."""
        nonce = os.urandom(12)
        return nonce + self._quarantines[0].encrypt(nonce, raw, place.encode())

    def unseal_unreadable(self, sealed: bytes, place: str) -> bytes:
        """Return quarantined bytes as they came in; raises InvalidTag when they were not sealed at this place."""
        nonce, ciphertext = sealed[:12], sealed[12:]
        for quarantine in self._quarantines[:-1]:
            try:
                return quarantine.decrypt(nonce, ciphertext, place.encode())
            except InvalidTag:
                continue
        return self._quarantines[-1].decrypt(nonce, ciphertext, place.encode())

    def digest(self, raw: bytes) -> bytes:
        """Return a keyed digest by which equal bytes are known without being read."""
        return hmac.digest(self._digest, raw, "sha256")
