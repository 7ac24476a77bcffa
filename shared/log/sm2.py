"""SM2 signatures over SM3 (GB/T 32918.2) by GmSSL, for those who must have them; its package is installed for that.

`python -m shared.log.sm2` prints a new key.
"""

import sys
from typing import Final

TYPE: Final = b"\xffGB/T 32918.2 SM2 with SM3"  # signed-note has no byte of its own for it
_SECRET: Final = 32
_BYTES: Final = 96


class Sm2Missing(Exception):
    """The package is not installed: `requirements-sm2.txt`."""


class Sm2Signer:
    """Signs by a key of 96 bytes: the secret number of 32, then both coordinates of its public point."""

    def __init__(self, key: bytes) -> None:
        """Raises Sm2Missing; and ValueError where the parts are not of one key."""
        try:
            from gmssl_pyx import sm2_sign, sm2_verify  # noqa: PLC0415 - only where it is wanted
            from gmssl_pyx.gmsslext import GmsslInnerError, InvalidValueError  # noqa: PLC0415
        except ImportError:
            raise Sm2Missing from None
        if len(key) != _BYTES:
            raise ValueError("not 96 bytes")
        self._secret, self.public = key[:_SECRET], key[_SECRET:]
        self._sign = sm2_sign
        try:
            own = sm2_verify(self.public, b"own", self.sign(b"own"))
        except (GmsslInnerError, InvalidValueError) as error:
            raise ValueError(str(error)) from None
        if not own:
            raise ValueError("secret and public key do not belong together")

    def sign(self, message: bytes) -> bytes:
        """Return the signature, DER; another one each time."""
        signature: bytes = self._sign(self._secret, self.public, message)
        return signature


def new_key() -> bytes:
    """Return a key as Sm2Signer wants it."""
    from gmssl_pyx import sm2_key_generate  # noqa: PLC0415 - only where it is wanted

    public, secret = sm2_key_generate()
    return bytes(secret + public)


if __name__ == "__main__":
    sys.stdout.write(new_key().hex() + "\n")
