"""What `secrets` of docker-compose.yml hands to each part of an installation, with TLS and without; it runs as root."""

from __future__ import annotations

import os
import ssl
import sys
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest

from deploy.local.refusal import LocalError
from deploy.operations import compose, tools
from deploy.secrets import certificates
from services.catalogue import DOMAIN_SERVICES, SERVICES, WITH_DATABASE
from shared.http.api_keys import KeyFile, Role
from shared.log.sm2 import new_key

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="gives files to other users, as root alone may")
VOLUMES: Final = (*SERVICES, "postgres", "exporter", "alertmanager", "grafana", "keys", "kafka", "districts")
NAMES, HOSTS = ["kafka", "localhost"], ["skills.example.org"]


@pytest.fixture(name="room")
def room_fixture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The volumes of an installation, empty, and where its keys will be."""
    for volume in VOLUMES:
        (tmp_path / "secrets" / volume).mkdir(parents=True)
    (tmp_path / "keys").mkdir()
    monkeypatch.setattr(compose, "_KEYS", tmp_path / "keys" / "keys.json")
    monkeypatch.delenv("SKILLPLAN_BIND", raising=False)
    return tmp_path / "secrets"


def _handed(room: Path) -> dict[str, str]:
    """Return every file of every part but the store of all."""
    files = (file for volume in VOLUMES for file in (room / volume).iterdir())
    return {str(file.relative_to(room)): file.read_text(encoding="utf-8") for file in files}


def _make(room: Path, own: Path | None = None, *, tls: bool) -> dict[str, str]:
    compose.make_secrets(room, own, NAMES, HOSTS, tls)
    return _handed(room)


def test_with_tls_every_process_has_what_it_shows_and_what_it_checks_by(room: Path) -> None:
    files = _make(room, tls=True)
    for service in SERVICES:
        assert (
            files[f"{service}/skillplan_tls_cert"] == files[f"{service}/skillplan_tls_key"] == "/run/skillplan/tls.pem"
        )
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(room / service / "tls.pem")
        assert files[f"{service}/ca.pem"].startswith("-----BEGIN CERTIFICATE")
    for service in WITH_DATABASE:
        assert files[f"{service}/skillplan_pg_dsn"].endswith("?sslmode=verify-full&sslrootcert=/run/skillplan/ca.pem")
        assert files[f"{service}/skillplan_kafka"] == "kafka:9096"
        assert files[f"{service}/skillplan_kafka_ca"] == "/run/skillplan/kafka_ca.pem"


def test_it_is_repeated_without_a_change_and_turned_off_without_a_rest(room: Path) -> None:
    before = _make(room, tls=True)
    assert _make(room, tls=True) == before
    off = _make(room, tls=False)
    assert not {name for name in off if Path(name).name in compose._MAY_GO}
    assert all("sslmode" not in off[f"{service}/skillplan_pg_dsn"] for service in WITH_DATABASE)
    assert off["recruitment/skillplan_kafka"] == "kafka:9092"
    lasting = ("kafka/broker.pem", "postgres/tls.pem", *(f"{name}/skillplan_service_key" for name in DOMAIN_SERVICES))
    assert {name: off[name] for name in lasting} == {name: before[name] for name in lasting}


def test_other_names_get_another_certificate_and_districts_keep_theirs(room: Path) -> None:
    before = _make(room, tls=True)
    compose.make_secrets(room, None, NAMES, [*HOSTS, "second.example.org"], tls=True)
    after = _handed(room)
    assert after["gateway/tls.pem"] != before["gateway/tls.pem"]
    assert after["kafka/broker.pem"] == before["kafka/broker.pem"]


def test_a_certificate_of_the_operator_is_shown_by_the_gateway_alone(room: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "http.pem").write_bytes(certificates.make(HOSTS, "Own").server)
    files = _make(room, other, tls=True)
    assert files["gateway/tls.pem"] == (other / "http.pem").read_text().strip()
    assert files["recruitment/tls.pem"] != files["gateway/tls.pem"]


def test_a_key_of_sm2_goes_to_domain_services_alone_and_away_with_its_file(
    room: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("gmssl_pyx")
    own = tmp_path / "own"
    own.mkdir()
    before = _make(room, own, tls=True)
    key = new_key()
    (own / "log_gm_key").write_text(f"{key}\n", encoding="utf-8")
    added = {f"{name}/skillplan_log_gm_key": key for name in DOMAIN_SERVICES}
    assert _make(room, own, tls=True) == before | added
    (own / "log_gm_key").write_text(key[:-1], encoding="utf-8")
    with pytest.raises(LocalError, match="192 hex digits"):
        _make(room, own, tls=True)
    monkeypatch.setitem(sys.modules, "gmssl_pyx", None)
    with pytest.raises(LocalError, match="SKILLPLAN_EXTRAS=sm2"):
        _make(room, own, tls=True)
    (own / "log_gm_key").unlink()
    monkeypatch.setenv("SKILLPLAN_LOG_GM_KEY", key)
    with pytest.raises(LocalError, match="SKILLPLAN_EXTRAS=sm2"):
        _make(room, own, tls=True)
    assert _handed(room) == before | added, "what is refused changes nothing"
    monkeypatch.delenv("SKILLPLAN_LOG_GM_KEY")
    assert _make(room, own, tls=True) == before


def test_an_expired_certificate_of_the_operator_is_refused_and_nothing_is_changed(
    room: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, own = _make(room, tls=True), tmp_path / "own"
    own.mkdir()
    for name, text in (("http.pem", "no certificate"), ("tls.pem", "")):
        (own / name).write_text(text, encoding="utf-8")
        with pytest.raises(LocalError, match=f"{name} (holds no certificate|is empty)"):
            _make(room, own, tls=True)
        (own / name).unlink()
    monkeypatch.setattr(certificates, "_YEARS", timedelta(minutes=-30))
    (own / "http.pem").write_bytes(certificates.make(HOSTS, "Own").server)
    with pytest.raises(LocalError, match=r"the certificate http\.pem expired on"):
        _make(room, own, tls=True)
    assert _handed(room) == before


def test_a_certificate_that_ends_soon_is_named(
    room: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _make(room, tls=True)
    assert tools.list_certificates(room / "all")
    monkeypatch.setattr(certificates, "_YEARS", timedelta(days=20))
    (room / "all" / "kafka_broker.pem").unlink()
    compose.write(room / "all" / "kafka_broker.pem", certificates.make(NAMES).server.decode(), 0)
    capsys.readouterr()
    assert not tools.list_certificates(room / "all")
    (line,) = (line for line in capsys.readouterr().out.splitlines() if "✗" in line)
    assert "kafka_broker.pem" in line


@pytest.mark.parametrize("address", ["0.0.0.0", "192.0.2.7", "::"])  # noqa: S104 - refused, that is the point
def test_nothing_is_published_in_clear_or_to_anybody(
    room: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], address: str
) -> None:
    monkeypatch.setenv("SKILLPLAN_BIND", address)
    with pytest.raises(LocalError, match="make keys first"):
        _make(room, tls=True)
    assert _handed(room) == {}, "nothing is changed"
    keys = KeyFile(compose._KEYS, (room / "all" / "key_pepper").read_text())
    keys.create()
    keys.add(Role.DISTRICT, prefixes=("/districts/330681/",))
    with pytest.raises(LocalError, match="SKILLPLAN_TLS=on"):
        _make(room, tls=False)
    assert _handed(room) == {}, "nothing is changed"
    images = ["python:3.13-slim", "node:22.20.0-trixie-slim", "postgres:17", "postgres:17.12-trixie"]
    monkeypatch.setenv("SKILLPLAN_IMAGES", " ".join(images))
    assert _make(room, tls=True)
    notes = capsys.readouterr().err
    following = [image for image in images if f"; {image} moves" in notes]
    assert following == ["python:3.13-slim", "postgres:17"], "what follows a series is named once others reach it"
