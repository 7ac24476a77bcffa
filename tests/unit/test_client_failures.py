"""Whatever goes wrong is one sentence and the exit code of the table, never a traceback (kinds M and N: F33 to F36)."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from client.__main__ import app
from client.spreadsheet import safe_text
from deploy.secrets.certificates import make
from tests.conftest import ROOT

CSV = str(ROOT / "docs" / "examples" / "hires.csv")
MAPPING = str(ROOT / "docs" / "examples" / "hires.yaml")
PUBLISH = ("publish", CSV, "--mapping", MAPPING, "--http", "--patience", "0.3")
Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The program, in English, with a journal of its own and no proxy."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("SKILLPLAN_LANG", "en")
    monkeypatch.setenv("SKILLPLAN_JOURNAL", str(tmp_path / "journal.sqlite"))

    def program(*arguments: str, recruitment: str = "http://127.0.0.1:1", **settings: str) -> Result:
        monkeypatch.setenv("SKILLPLAN_SERVICES", json.dumps({"recruitment": recruitment}))
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        return CliRunner().invoke(app, arguments, catch_exceptions=False)

    return program


class _Answers(BaseHTTPRequestHandler):
    """Answers every request with the status in its path, and a page of HTML, as proxies and gateways do."""

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        status = self.server.status  # type: ignore[attr-defined]
        body = b"<html><body>Bad Gateway</body></html>"
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_CONNECT = _answer  # noqa: N815 - names of http.server

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def answers() -> Iterator[Callable[..., str]]:
    """Start servers that answer with a status and HTML; returns their host and port."""
    servers = []

    def start(status: int, trust: ssl.SSLContext | None = None) -> str:
        server = ThreadingHTTPServer(("127.0.0.1", 0), _Answers)
        server.status = status  # type: ignore[attr-defined]
        server.handle_error = lambda *_: None  # type: ignore[method-assign]
        if trust is not None:
            server.socket = trust.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"127.0.0.1:{server.server_address[1]}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        (502, 3, "gateway or proxy"),
        (403, 2, "not this service"),
        (200, 2, "not this service"),
        (404, 2, "not this service"),
    ],
)
def test_a_page_of_html_is_no_answer_of_a_service(
    status: int, code: int, message: str, run: Run, answers: Callable[..., str]
) -> None:
    done = run(*PUBLISH, recruitment=f"http://{answers(status)}")
    assert (done.exit_code, message in done.stderr) == (code, True), done.stderr
    done = run("plan", "--url", f"http://{answers(status)}", "show")
    assert (done.exit_code, "something else answers" in done.stderr) == (3, True), done.stderr


def test_every_command_goes_by_the_same_proxy_and_names_it(run: Run, answers: Callable[..., str]) -> None:
    """Case F35: a proxy that refuses is named, and never asked for this machine's own addresses."""
    proxy = {"HTTP_PROXY": f"http://{answers(403)}"}
    through = run(*PUBLISH, recruitment="http://example.invalid", **proxy)
    assert (through.exit_code, "HTTP_PROXY" in through.stderr) == (2, True), through.stderr
    plan = run("plan", "--url", "http://example.invalid", "show", **proxy)
    assert "check address and proxy" in plan.stderr
    tunnel = run(*PUBLISH, recruitment="https://example.invalid", HTTPS_PROXY=proxy["HTTP_PROXY"])
    assert (tunnel.exit_code, "the proxy refuses, by the proxy of HTTPS_PROXY" in tunnel.stderr) == (2, True)
    own = run(*PUBLISH, recruitment=f"http://{answers(502)}")
    assert "HTTP 502, from a gateway" in own.stderr, "the proxy's would be 403"
    wrong = run(*PUBLISH, HTTP_PROXY="nonsense://x")
    assert (wrong.exit_code, "HTTP_PROXY" in wrong.stderr) == (2, True)


def test_every_command_trusts_the_same_authority_and_says_where_a_certificate_is_not_trusted(
    run: Run, answers: Callable[..., str], tmp_path: Path
) -> None:
    """Case F35."""
    made = make(["127.0.0.1"])
    (tmp_path / "ca.pem").write_bytes(made.ca)
    (tmp_path / "server.pem").write_bytes(made.server)
    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trust.load_cert_chain(tmp_path / "server.pem")
    address = f"https://{answers(502, trust)}"
    for command in (PUBLISH, ("plan", "--url", address, "show")):
        done = run(*command, recruitment=address)
        assert done.exit_code in (2, 3)
        assert "its certificate is not trusted, set SKILLPLAN_CA" in done.stderr
    for command in (PUBLISH, ("plan", "--url", address, "show")):
        done = run(*command, recruitment=address, SKILLPLAN_CA=str(tmp_path / "ca.pem"))
        assert "HTTP 502" in done.stderr, "the certificate is trusted now"
    plain = run(*PUBLISH, recruitment=f"https://{answers(200)}")
    assert "is its address http:// or https://?" in plain.stderr


@pytest.mark.parametrize(
    ("address", "code", "message"),
    [
        ("http://no-such-host.invalid", 3, "no such host name"),
        ("http://[x", 2, "the address is wrong"),
        ("ftp://x", 2, "the address is wrong"),
    ],
)
def test_an_address_that_leads_nowhere_is_named(address: str, code: int, message: str, run: Run) -> None:
    done = run(*PUBLISH, recruitment=address)
    assert (done.exit_code, message in done.stderr) == (code, True), done.stderr
    done = run("plan", "--url", address, "show")
    assert (done.exit_code, message in done.stderr) == (3, True), done.stderr


def test_one_service_that_is_away_keeps_no_other_from_its_reports(run: Run, tmp_path: Path) -> None:
    """A line that no service takes is named, the others are tried."""
    file = tmp_path / "f.ndjson"
    file.write_text('{"type": "skillplan.recruitment.person-hired.v1"}\n{', encoding="utf-8")
    done = run("publish", str(file), "--unchecked", "--http", "--patience", "0.2")
    assert done.exit_code == 1
    assert "row 1" in done.stderr
    assert "row 2" in done.stderr


@pytest.mark.parametrize("name", ["header-only.csv", "empty.ndjson"])
def test_a_file_without_reports_is_not_well(name: str, run: Run) -> None:
    """Case F34."""
    file = str(ROOT / "tests" / "cases" / "F34" / name)
    mapping = ("--mapping", MAPPING) if name.endswith(".csv") else ()
    for command in (("validate", file, *mapping), ("publish", file, *mapping, "--http")):
        done = run(*command)
        assert done.exit_code == 1, done.output
        assert "no r" in done.stderr, done.stderr  # no rows, no report


def test_the_process_ends_with_a_sentence_and_its_exit_code_whatever_its_streams_are(tmp_path: Path) -> None:
    program = f"{sys.executable} -m client"
    cases = {
        f"{program} sample | true; exit ${{PIPESTATUS[0]}}": (0, 141),
        f"{program} sample > /dev/full": (2,),
        f"{program} sample >&-": (0,),
        f"{program} validate - <&-": (2,),
        f"PYTHONCOERCECLOCALE=0 PYTHONUTF8=0 LC_ALL=C {program} validate '{CSV}' -m '{MAPPING}'": (0,),
        f"{program} validate $'/tmp/\\xff.csv'": (2,),
        f"{program} publish '{CSV}' -m '{MAPPING}' --journal /dev/full": (2,),
        f"timeout -s INT 4 {program} publish - --http": (0, 1, 124, 130),
    }
    environment = {**os.environ, "HOME": str(tmp_path), "SKILLPLAN_LANG": "zh"}
    started = [
        subprocess.Popen(
            ["bash", "-c", line], cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, encoding="utf-8",
        )
        for line in cases
    ]  # fmt: skip
    for process, (line, codes) in zip(started, cases.items(), strict=True):
        _, errors = process.communicate("", timeout=250)
        assert process.returncode in codes, (line, process.returncode, errors)
        assert "Traceback" not in errors, line
        assert "Exception ignored" not in errors, line


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("hire-1", "hire-1"), ("/districts/330681/hr", "/districts/330681/hr"), ("", ""), ("示例", "示例"),
        ("0012", '="0012"'), ("339977199007134895", '="339977199007134895"'), ("=1+1", '="=1+1"'), ("-5", '="-5"'),
        ("@x", '="@x"'), ("+86", '="+86"'), ("2024-05", '="2024-05"'), ("6-18", '="6-18"'), ("1E5", '="1E5"'),
        ("SEPT2", '="SEPT2"'), ("true", '="true"'), ('a"b', '="a""b"'), ("\tx", '="\tx"'),
    ],
)  # fmt: skip
def test_ids_in_csv_survive_a_spreadsheet(text: str, cell: str) -> None:
    assert safe_text(text) == cell
