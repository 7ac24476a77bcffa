"""SM2 signatures over SM3 (GB/T 32918.2) by GmSSL, for those who must have them; its package is installed for that.

`python -m shared.log.sm2` prints a new key.
"""

import sys
from types import ModuleType
from typing import Final

TYPE: Final = b"\xffGB/T 32918.2 SM2 with SM3"  # signed-note has no byte of its own for it
_SECRET: Final = 32
_BYTES: Final = 96


class Sm2Refused(ValueError):
    """Why nothing can be signed by a key, in a sentence in Chinese and one in English."""

    def __init__(self, zh: str, en: str) -> None:
        super().__init__(f"{zh} {en}")
        self.zh = zh
        self.en = en


class Sm2Signer:
    """Signs by a key of 96 bytes in hex: the secret number of 32, then both coordinates of its public point."""

    def __init__(self, key: str) -> None:
        """Raises Sm2Refused where the package is missing, and where the parts are not of one key."""
        package = _package()
        self._sign = package.sm2_sign
        try:
            given = bytes.fromhex(key)
            self._secret, self.public = given[:_SECRET], given[_SECRET:]
            own = len(given) == _BYTES and package.sm2_verify(self.public, b"own", self.sign(b"own"))
        except (ValueError, package.gmsslext.GmsslInnerError, package.gmsslext.InvalidValueError):
            own = False
        if not own:
            raise Sm2Refused(
                "SKILLPLAN_LOG_GM_KEY 应为 192 位十六进制:私钥 32 字节,其后是它的公钥 64 字节。",
                "SKILLPLAN_LOG_GM_KEY: 192 hex digits, a secret key of 32 bytes and its public key of 64.",
            )

    def sign(self, message: bytes) -> bytes:
        """Return the signature, DER; another one each time."""
        signature: bytes = self._sign(self._secret, self.public, message)
        return signature


def new_key() -> str:
    """Return a key as Sm2Signer wants it; raises Sm2Refused where the package is missing."""
    public, secret = _package().sm2_key_generate()
    return bytes(secret + public).hex()


def _package() -> ModuleType:
    try:
        import gmssl_pyx  # noqa: PLC0415 - only where it is wanted
        import gmssl_pyx.gmsslext  # noqa: PLC0415
    except ImportError:
        raise Sm2Refused(
            "SM2 签名(SKILLPLAN_LOG_GM_KEY)所需的 gmssl-pyx 没有装:pip install -r requirements-sm2.txt;"
            "映像则以 SKILLPLAN_EXTRAS=sm2 重建。",
            "For signatures by SM2 (SKILLPLAN_LOG_GM_KEY) gmssl-pyx is not installed: pip install -r"
            " requirements-sm2.txt; build an image again with SKILLPLAN_EXTRAS=sm2.",
        ) from None
    package: ModuleType = gmssl_pyx
    return package


if __name__ == "__main__":
    try:
        sys.stdout.write(new_key() + "\n")
    except Sm2Refused as refused:
        sys.exit(str(refused))
