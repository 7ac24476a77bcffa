"""History of keys: which was made, rotated or revoked, when and by whom, in a file that is only ever added to."""

import getpass
import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from shared.observability.health import ConfigurationError

Act = Literal["made", "rotated", "revoked"]
_BEGINNING: Final = "0" * 64


class KeyAct(BaseModel):
    """One line of the history; `mac` is over the line and the one before it, so that none can be changed unseen."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    at: AwareDatetime
    act: Act
    key: str
    role: str
    prefixes: tuple[str, ...] = ()
    label: str = ""
    expires_at: AwareDatetime | None = None
    by: str
    mac: str = ""

    def content(self) -> str:
        """Return what the line says, its own authentication apart."""
        return self.model_dump_json(exclude={"mac"}, exclude_none=True)


class KeyHistory:
    """The history beside a key file; `mac` authenticates a text under the file's pepper."""

    def __init__(self, file: Path, mac: Callable[[str], str]) -> None:
        self._file, self._mac = file, mac

    def begin(self) -> None:
        """Begin anew with a new key file, whose pepper may be another; an earlier history stays, under another name."""
        if self._file.exists():
            self._file.rename(self._file.with_name(f"{self._file.name}.{self._file.stat().st_mtime_ns}"))

    def add(self, act: KeyAct) -> None:
        """Append a line; the caller holds the lock of the key file. Raises ConfigurationError."""
        acts = self.acts()
        last = acts[-1].mac if acts else _BEGINNING
        line = act.model_copy(update={"mac": self._mac(f"{last} {act.content()}")})
        try:
            descriptor = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            with os.fdopen(descriptor, "a", encoding="utf-8") as out:
                out.write(line.model_dump_json(exclude_none=True) + "\n")
                out.flush()
                os.fsync(out.fileno())
        except OSError as error:
            raise _unusable(self._file, error.strerror or type(error).__name__) from None

    def acts(self) -> list[KeyAct]:
        """Return the whole history, the oldest first; raises ConfigurationError for a line that was changed."""
        try:
            lines = self._file.read_text(encoding="utf-8").splitlines() if self._file.exists() else []
        except (OSError, UnicodeDecodeError) as error:
            raise _unusable(self._file, type(error).__name__) from None
        acts, last = list[KeyAct](), _BEGINNING
        for number, line in enumerate(lines, 1):
            try:
                act = KeyAct.model_validate_json(line)
            except ValidationError:
                raise _unusable(self._file, f"第 {number} 行 line {number}") from None
            if act.mac != self._mac(f"{last} {act.content()}"):
                raise _unusable(self._file, f"第 {number} 行被改动 line {number} was changed")
            acts.append(act)
            last = act.mac
        return acts


def operator() -> str:
    """Return who gives this command: SKILLPLAN_BY, else the user of the operating system."""
    named = os.environ.get("SKILLPLAN_BY") or os.environ.get("SUDO_USER")
    try:
        return named or getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in a container
        return f"uid {os.getuid()}"


def make_act(act: Act, key: str, role: str, at: datetime, by: str | None, **more: object) -> KeyAct:
    """Return a line that is not authenticated yet; `by`: who, the operator where it is None or empty."""
    return KeyAct.model_validate({"at": at, "act": act, "key": key, "role": role, "by": by or operator()} | more)


def _unusable(file: Path, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"密钥的历史 {file} 无法使用({why});请从备份恢复。 The history of keys is not usable; restore it from a backup."
    )
