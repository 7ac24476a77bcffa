"""A witness of logs (C2SP tlog-witness): it cosigns a checkpoint once it is shown that the log has only grown since.

What it cosigned last of each log stands in its folder, on the disk before an answer is given: neither a crash nor a
second process makes it cosign a shorter log or another history. A file that cannot be read stops it from answering.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import threading
import time
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final, NamedTuple

from client.output import CommandError
from shared.log.cosignatures import (
    SIZE_TYPE,
    CosigningKey,
    LogKey,
    Malformed,
    TreeHead,
    read_checkpoint,
    read_submission,
)
from shared.log.tree import is_consistent

_MOST_BYTES: Final = 64 * 1024
_SECONDS: Final = 20  # for a request to arrive
_TEXT: Final = "text/plain; charset=utf-8"
_EMPTY: Final = hashlib.sha256().digest()


class WitnessAnswer(NamedTuple):
    """Status, text and content type of an answer."""

    status: HTTPStatus
    text: str
    type: str = _TEXT


class CosigningWitness:
    """What a witness has cosigned, in a folder that no other process may use meanwhile."""

    def __init__(self, folder: Path, name: str, logs: Sequence[str]) -> None:
        self._folder = folder
        try:
            self.logs: Mapping[str, LogKey] = {(key := LogKey(log)).origin: key for log in logs}
        except ValueError:
            raise CommandError(
                "--log 应为日志的验证公钥(名称+编号+base64)或其文件。",
                "--log is a log's verifier key (name+id+base64), or a file with it.",
            ) from None
        folder.mkdir(parents=True, exist_ok=True)
        self._hold()
        self.key = CosigningKey(name, self._secret())
        self._one_at_a_time = threading.Lock()

    def close(self) -> None:
        """Let another process use the folder."""
        os.close(self._held)

    def _hold(self) -> None:
        self._held = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            import fcntl  # noqa: PLC0415 - only POSIX has it
        except ImportError:
            return
        try:
            fcntl.flock(self._held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.close()
            raise CommandError(
                f"{self._folder} 正由另一个见证使用。", f"{self._folder} is used by another witness."
            ) from None

    def _secret(self) -> bytes:
        file = self._folder / "key"
        if not file.exists():
            self._write(file, secrets.token_hex(32))
        try:
            if len(key := bytes.fromhex(file.read_text(encoding="ascii").strip())) == 32:  # noqa: PLR2004
                return key
        except (ValueError, UnicodeDecodeError):
            pass
        raise CommandError(f"{file} 不是见证的密钥。", f"{file} holds no key of a witness.")

    def _write(self, file: Path, text: str) -> None:
        """Write a file whole and durably: it is there after a crash, or the one before it is."""
        new = file.with_name(f"{file.name}.new")
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "w", encoding="utf-8") as written:
            written.write(text)
            written.flush()
            os.fsync(descriptor)
        new.replace(file)
        with contextlib.suppress(PermissionError):  # Windows opens no folders
            descriptor = os.open(self._folder, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def _file(self, origin: str) -> Path:
        return self._folder / f"{hashlib.sha256(origin.encode()).hexdigest()}.checkpoint"

    def last(self, origin: str) -> TreeHead:
        """Return what was cosigned last of a log; raises Malformed or OSError where that cannot be read."""
        try:
            return read_checkpoint(self._file(origin).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return TreeHead(origin, 0, _EMPTY, "", ())

    def add_checkpoint(self, body: bytes) -> WitnessAnswer:
        """WitnessAnswer a request for a cosignature; the checks are in the order of the specification."""
        try:
            requested = read_submission(body.decode())
            head = read_checkpoint(requested.note)
        except (Malformed, UnicodeDecodeError) as error:
            return WitnessAnswer(HTTPStatus.BAD_REQUEST, f"{error}\n")
        if head.origin not in self.logs:
            return WitnessAnswer(HTTPStatus.NOT_FOUND, "unknown log\n")
        if not self.logs[head.origin].has_signed(head):
            return WitnessAnswer(HTTPStatus.FORBIDDEN, "not signed by the log's key\n")
        if requested.old > head.size:
            return WitnessAnswer(HTTPStatus.BAD_REQUEST, "the old size is above the checkpoint's\n")
        with self._one_at_a_time:
            try:
                last = self.last(head.origin)
            except (Malformed, OSError):
                return WitnessAnswer(HTTPStatus.INTERNAL_SERVER_ERROR, "what was cosigned last cannot be read\n")
            if requested.old != last.size:
                return WitnessAnswer(HTTPStatus.CONFLICT, f"{last.size}\n", SIZE_TYPE)
            if last.size == head.size and last.root != head.root:
                return WitnessAnswer(HTTPStatus.CONFLICT, "another root of this size was cosigned\n")
            if not is_consistent(last.size, last.root, head.size, head.root, requested.proof):
                return WitnessAnswer(
                    HTTPStatus.UNPROCESSABLE_ENTITY, "the proof does not show that the log only grew\n"
                )
            if last.size != head.size:
                try:
                    self._write(self._file(head.origin), requested.note)
                except OSError:
                    return WitnessAnswer(HTTPStatus.INTERNAL_SERVER_ERROR, "cannot be written\n")
            return WitnessAnswer(HTTPStatus.OK, self.key.cosign(head.text, int(time.time())))


def server_of(witness: CosigningWitness, host: str, port: int) -> ThreadingHTTPServer:
    """Return the server of a witness, bound to its port and not answering yet."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = _SECONDS

        def do_POST(self) -> None:
            length = self.headers.get("content-length", "")
            if self.path.rstrip("/").rpartition("/")[2] != "add-checkpoint":
                self._send(WitnessAnswer(HTTPStatus.NOT_FOUND, "POST …/add-checkpoint\n"))
            elif not length.isdecimal() or int(length) > _MOST_BYTES:
                self._send(WitnessAnswer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too large, or of unknown length\n"))
            else:
                self._send(witness.add_checkpoint(self.rfile.read(int(length))), read=True)

        def _send(self, answer: WitnessAnswer, read: bool = False) -> None:
            content = answer.text.encode()
            self.close_connection = not read
            self.send_response(answer.status)
            self.send_header("content-type", answer.type)
            self.send_header("content-length", str(len(content)))
            if not read:
                self.send_header("connection", "close")
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *_: object) -> None:
            """Say nothing of each request."""

    return ThreadingHTTPServer((host, port), Handler)
