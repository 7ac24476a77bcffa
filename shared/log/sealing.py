"""Seals what is personal: the fields of a person under that person's own key, unreadable bytes under the service's."""

import base64
import hmac
import os

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap, aes_key_wrap


class Seal:
    """AES-256-GCM under keys that the service's own 32-byte key wraps (RFC 3394)."""

    def __init__(self, service_key: bytes) -> None:
        self._wrapping = hmac.digest(service_key, b"person-keys", "sha256")
        self._quarantine = AESGCM(hmac.digest(service_key, b"quarantine", "sha256"))
        self._digest = hmac.digest(service_key, b"quarantine-digest", "sha256")

    def new_wrapped_key(self) -> bytes:
        """Make the key of one person, wrapped for storing; destroying it erases what it sealed."""
        return aes_key_wrap(self._wrapping, AESGCM.generate_key(256))

    def seal(self, wrapped: bytes, token: str, personal: bytes) -> str:
        """Return the personal fields sealed for one person, as base64 of nonce and ciphertext."""
        nonce = os.urandom(12)
        sealed = AESGCM(aes_key_unwrap(self._wrapping, wrapped)).encrypt(nonce, personal, token.encode())
        return base64.b64encode(nonce + sealed).decode()

    def unseal(self, wrapped: bytes, token: str, sealed: str) -> bytes:
        """Return the personal fields again; raises InvalidTag when they were not sealed for this person."""
        raw = base64.b64decode(sealed)
        return AESGCM(aes_key_unwrap(self._wrapping, wrapped)).decrypt(raw[:12], raw[12:], token.encode())

    def seal_unreadable(self, raw: bytes, place: str) -> bytes:
        """Return bytes that could not be read, sealed under the service's key and bound to their place."""
        nonce = os.urandom(12)
        return nonce + self._quarantine.encrypt(nonce, raw, place.encode())

    def unseal_unreadable(self, sealed: bytes, place: str) -> bytes:
        """Return quarantined bytes as they came in."""
        return self._quarantine.decrypt(sealed[:12], sealed[12:], place.encode())

    def digest(self, raw: bytes) -> bytes:
        """Return a keyed digest by which equal bytes are known without being read."""
        return hmac.digest(self._digest, raw, "sha256")
