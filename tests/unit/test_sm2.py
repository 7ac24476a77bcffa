"""Checkpoints signed by SM2, too: the standard's own example, and what verify.py makes of them."""

from __future__ import annotations

import base64
import sys
from pathlib import Path
from typing import Final

import pytest
from pydantic import SecretStr

from client.audit.verify import Stop, VerifierKey
from services.catalogue import DOMAIN_SERVICES
from shared.log.checkpoints import LogSigner, key_id
from shared.log.cosignatures import LogKey, read_checkpoint
from shared.log.sm2 import TYPE, Sm2Refused, Sm2Signer, new_key
from shared.observability.health import ConfigurationError
from shared.service.main import ServiceSettings, _signer

# GB/T 32918.5-2017, annex A.2: keys, message and signature, with the signer id that is the usual one.
SECRET: Final = bytes.fromhex("3945208f7b2144b13f36e38ac6d39f95889393692860b51a42fb81ef4df7c5b8")
PUBLIC: Final = bytes.fromhex(
    "09f9df311e5421a150dd7d161e4bc5c672179fad1833fc076bb08ff356f35020"
    "ccea490ce26775a52dc6ea718cc1aa600aed05fbf35e084a6632f6072da9ad13"
)
MESSAGE: Final = b"message digest"
R: Final = "f5a03b0648d2c4630eeac513e1bb81a15944da3827d5b74143ac7eaceee720b3"
S: Final = "b1b6aa29df212fd8763182bc0d421ca1bb9038fd1f7f42d4840b69c485bbc1aa"
SIGNATURE: Final = bytes.fromhex(f"3046022100{R}022100{S}")  # DER
ED25519: Final = b"k" * 32
ROOT_HASH: Final = b"r" * 32


def test_the_example_of_the_standard_holds_and_nothing_near_it() -> None:
    sm2_verify = pytest.importorskip("gmssl_pyx").sm2_verify
    assert sm2_verify(PUBLIC, MESSAGE, SIGNATURE)
    assert not sm2_verify(PUBLIC, MESSAGE[:-1] + b"u", SIGNATURE)
    assert not sm2_verify(PUBLIC, MESSAGE, SIGNATURE[:-1] + b"\xab")
    for key in ((SECRET + PUBLIC).hex(), new_key()):
        signer = Sm2Signer(key)
        assert sm2_verify(signer.public, b"checkpoint", signer.sign(b"checkpoint"))


def test_a_checkpoint_has_a_second_line_that_its_own_key_checks(tmp_path: Path) -> None:
    pytest.importorskip("gmssl_pyx")
    signer = LogSigner("recruitment", ED25519, (SECRET + PUBLIC).hex())
    note = signer.checkpoint(7, ROOT_HASH)
    text, lines = note.split("\n\n")
    assert (len(lines.splitlines()), signer.sm2_verifier_key is None) == (2, False)
    assert LogKey(signer.verifier_key).has_signed(read_checkpoint(note)), "who knows nothing of SM2 passes it over"
    (tmp_path / "sm2.key").write_text(f"{signer.sm2_verifier_key}\n", encoding="utf-8")
    for key in (signer.verifier_key, str(tmp_path / "sm2.key")):
        head = VerifierKey(key).open(note, "here")
        assert (head.origin, head.size, head.root) == (signer.origin, 7, ROOT_HASH)
        with pytest.raises(Stop, match="the signature is wrong"):
            VerifierKey(key).open(note.replace("\n7\n", "\n8\n"), "here")
    alone = LogSigner("recruitment", ED25519)
    assert (alone.sm2_verifier_key, alone.checkpoint(7, ROOT_HASH)) == (None, f"{text}\n\n{lines.splitlines()[0]}\n")
    with pytest.raises(Stop, match="no signature of this key"):
        VerifierKey(str(tmp_path / "sm2.key")).open(alone.checkpoint(7, ROOT_HASH), "here")


def test_a_wrong_key_is_refused_at_the_start() -> None:
    pytest.importorskip("gmssl_pyx")
    for wrong in (SECRET, SECRET + PUBLIC[:-1] + b"\0", PUBLIC[:32] + PUBLIC, bytes(96)):
        with pytest.raises(ConfigurationError, match="192 hex digits"):
            _signed_by(wrong.hex())
    with pytest.raises(ConfigurationError, match="192 hex digits"):
        _signed_by("not hex")


def test_without_the_package_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gmssl_pyx", None)
    with pytest.raises(ConfigurationError, match="gmssl-pyx is not installed"):
        _signed_by((SECRET + PUBLIC).hex())
    with pytest.raises(Sm2Refused, match="SKILLPLAN_EXTRAS=sm2"):
        new_key()
    typed = TYPE + PUBLIC
    with pytest.raises(Stop, match="pip install gmssl-pyx"):
        VerifierKey(f"a.log+{key_id('a.log', typed).hex()}+{base64.b64encode(typed).decode()}")


def _signed_by(sm2_key: str) -> LogSigner | None:
    settings = ServiceSettings(log_key=SecretStr(ED25519.hex()), log_gm_key=SecretStr(sm2_key))
    return _signer(DOMAIN_SERVICES["recruitment"].composed(), settings)
