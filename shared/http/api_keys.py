"""API keys: a file that stores them as HMACs; every process follows its changes."""

import contextlib
import fcntl
import hmac
import os
import re
import secrets
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from types import EllipsisType
from typing import Annotated, Final, Self

import structlog
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from shared.http.key_history import Act, KeyAct, KeyHistory, make_act
from shared.observability.health import ConfigurationError

SOON: Final = timedelta(days=31)  # an operator is told so long before a key expires
_log = structlog.get_logger()
_PEPPER: Final = re.compile(r"[0-9a-fA-F]{64}")
_SHOWN: Final = re.compile(r"sk_([0-9a-f]{8})_([A-Za-z0-9_-]{43})")
_PREFIX: Final = r"/districts/[0-9]{6}(/[A-Za-z0-9._-]{1,40})?/?"


class Role(StrEnum):
    """What a key is for; `shared.http.access.PERMISSIONS` says what each role may."""

    DISTRICT = "district"
    READER = "reader"
    PLANNER = "planner"
    OPERATOR = "operator"
    AUDITOR = "auditor"
    SERVICE = "service"

    @property
    def speaks_for_sources(self) -> bool:
        """Tell whether such a key names the sources it speaks for."""
        return self in (Role.DISTRICT, Role.PLANNER)


class KeyFileError(ConfigurationError):
    """The key file cannot be used, or a change of it is impossible; one sentence in both languages."""

    def __init__(self, zh: str, en: str) -> None:
        super().__init__(f"{zh} {en}")


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Secret(_Record):
    """One secret of a key: its HMAC, and until when it is taken where another has replaced it."""

    mac: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    until: AwareDatetime | None = None


class Key(_Record):
    """One key: what it is for, for which sources it speaks, and for how long."""

    id: Annotated[str, Field(pattern="^[0-9a-f]{8}$")]
    role: Role
    prefixes: tuple[Annotated[str, Field(pattern=f"^{_PREFIX}$")], ...] = ()
    label: Annotated[str, Field(max_length=200)] = ""
    created_at: AwareDatetime
    expires_at: AwareDatetime | None = None
    revoked_at: AwareDatetime | None = None
    secrets: Annotated[tuple[Secret, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _speaks_for_sources(self) -> Self:
        if bool(self.prefixes) != self.role.speaks_for_sources:
            raise ValueError("district and planner keys name source prefixes, others none")
        return self

    def state(self, now: datetime) -> str:
        """Return `revoked`, `expired` or `valid`."""
        if self.revoked_at is not None and self.revoked_at <= now:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= now else "valid"

    def expires_soon(self, now: datetime) -> bool:
        """Return whether it is valid still and expires within a month."""
        return self.state(now) == "valid" and self.expires_at is not None and self.expires_at <= now + SOON


class _Content(_Record):
    # Tells a wrong pepper from a wrong key: HMAC of a fixed text.
    pepper: str
    keys: tuple[Key, ...] = ()


class _Pepper:
    """The server's secret: without it the file reveals nothing about any key, and no key can be made for it."""

    def __init__(self, given: str) -> None:
        if not _PEPPER.fullmatch(given):
            raise KeyFileError(
                "SKILLPLAN_KEY_PEPPER 应为 32 字节的十六进制。", "SKILLPLAN_KEY_PEPPER must be 32 bytes in hex."
            )
        self._bytes = bytes.fromhex(given)

    def mac(self, id_: str, secret: str) -> str:
        return hmac.digest(self._bytes, f"{id_}.{secret}".encode(), "sha256").hex()

    def mac_of_history(self, text: str) -> str:
        return hmac.digest(self._bytes, f"history {text}".encode(), "sha256").hex()

    @property
    def check(self) -> str:
        return hmac.digest(self._bytes, b"skillplan key file", "sha256").hex()[:32]


def _read(file: Path, pepper: _Pepper) -> dict[str, Key]:
    try:
        raw = file.read_bytes()
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise KeyFileError(
            f"密钥文件 SKILLPLAN_KEYS={file} 无法读取({why})。", f"The key file cannot be read ({why})."
        ) from None
    try:
        content = _Content.model_validate_json(raw)
    except ValidationError:
        raise KeyFileError(
            f"密钥文件 SKILLPLAN_KEYS={file} 已损坏;请从备份恢复。",
            "The key file is damaged; bring it back from a backup.",
        ) from None
    if not hmac.compare_digest(content.pepper, pepper.check):
        raise KeyFileError(
            f"SKILLPLAN_KEY_PEPPER 与密钥文件 {file} 不符。",
            "SKILLPLAN_KEY_PEPPER is not the one this key file was made with.",
        )
    return {key.id: key for key in content.keys}


class KeyRing:
    """The keys in force, as the file says at this moment; without a file, or before a first key, everybody is let in.

    A file that has become unreadable changes nothing: the keys last read stay in force, and `problem` says why. A ring
    that was closed stays closed, whatever happens to the file.
    """

    def __init__(self, file: Path | None, pepper: str) -> None:
        """Read the file for the first time; raises KeyFileError."""
        self._file = file
        self._keys: Mapping[str, Key] = {}
        self.closed = False
        self.problem: str | None = None
        if file is None:
            return
        self._pepper = _Pepper(pepper)
        self._seen = _signature(file)
        self._take(_read(file, self._pepper))

    def _take(self, keys: Mapping[str, Key]) -> None:
        self._keys = keys
        # The installation's own processes have keys from the start; those alone do not make keys required.
        self.closed = self.closed or any(key.role is not Role.SERVICE for key in keys.values())

    def refresh(self) -> None:
        """Read the file again if it has changed; the check costs two microseconds."""
        if self._file is None or (now := _signature(self._file)) == self._seen:
            return
        self._seen = now
        try:
            self._take(_read(self._file, self._pepper))
        except KeyFileError as error:
            self.problem = f"{error} 沿用最近一次读到的密钥。 The keys last read stay in force."
            _log.error("keys.unreadable", problem=str(error))
        else:
            self.problem = None
            _log.info("keys.read", keys=len(self._keys), closed=self.closed)

    def find(self, token: str, now: datetime) -> Key | None:
        """Return the key of which this is a secret, whatever its state; None if it is none's."""
        matched = _SHOWN.fullmatch(token)
        if matched is None or (key := self._keys.get(matched[1])) is None:
            return None
        mac = self._pepper.mac(key.id, matched[2])
        # All are compared, so that the time does not reveal which one matched.
        equal = [hmac.compare_digest(mac, secret.mac) for secret in key.secrets]
        taken = (same and (s.until is None or now < s.until) for same, s in zip(equal, key.secrets, strict=True))
        return key if any(taken) else None

    def holds(self, key: Key, now: datetime) -> bool:
        """Return whether a key that was found earlier is still valid."""
        current = self._keys.get(key.id)
        return current is not None and current.state(now) == "valid"

    def warning(self, now: datetime) -> str | None:
        """Return which keys expire within a month, None where none does."""
        soon = sorted((key for key in self._keys.values() if key.expires_soon(now)), key=lambda key: key.id)
        if not soon:
            return None
        listed = ", ".join(f"{key.id} {key.expires_at:%Y-%m-%d}" for key in soon)
        return f"将到期,请轮换 expire within a month, rotate them: {listed}"


class KeyFile:
    """Edits the key file: makes, rotates and revokes keys. A secret is returned once and stored nowhere.

    Who did it and when is written to the history beside it (`<file>.history`) first; `by`: the operator where None.
    """

    def __init__(self, file: Path, pepper: str) -> None:
        self._file = file
        self._pepper = _Pepper(pepper)
        self._history = KeyHistory(file.with_name(file.name + ".history"), self._pepper.mac_of_history)

    def create(self) -> None:
        """Make a file without keys; raises KeyFileError where there is one."""
        if self._file.exists():
            raise KeyFileError(f"{self._file} 已存在。", f"{self._file} is there already.")
        self._history.begin()
        self._write({})

    def keys(self) -> list[Key]:
        """Return every key, also those revoked, in the order made."""
        return list(_read(self._file, self._pepper).values())

    def history(self) -> list[KeyAct]:
        """Return what was done to keys, the oldest first; keys that are older than their history are not in it."""
        return self._history.acts()

    def add(
        self,
        role: Role,
        prefixes: tuple[str, ...] = (),
        label: str = "",
        expires_at: datetime | None = None,
        now: datetime | None = None,
        by: str | None = None,
    ) -> tuple[Key, str]:
        """Make a key; return it and what its holder must send."""
        with self._editing() as keys:
            id_ = secrets.token_hex(4)
            while id_ in keys:
                id_ = secrets.token_hex(4)
            token, secret = self._new_secret(id_)
            try:
                keys[id_] = Key(
                    id=id_, role=role, prefixes=prefixes, label=label, created_at=now or datetime.now(UTC),
                    expires_at=expires_at, secrets=(secret,),
                )  # fmt: skip
            except ValidationError:
                raise KeyFileError(
                    "district、planner 的密钥须指明来源前缀(形如 /districts/330681/ 或 /districts/330681/<系统>),"
                    "其他角色不带前缀;备注至多 200 字。",
                    "A district's or planner's key names source prefixes such as /districts/330681/ or "
                    "/districts/330681/<system>, other roles none; a label has at most 200 characters.",
                ) from None
            self._note("made", keys[id_], keys[id_].created_at, by)
        return keys[id_], token

    def rotate(
        self,
        id_: str,
        overlap: timedelta,
        now: datetime | None = None,
        by: str | None = None,
        expires_at: datetime | EllipsisType | None = ...,
    ) -> tuple[Key, str]:
        """Give a key a new secret, and another expiry unless that stays (`...`); the old secret is taken for as long as
        the overlap."""
        at = now or datetime.now(UTC)
        with self._editing() as keys:
            key = self._valid(keys, id_, at)
            token, secret = self._new_secret(id_)
            end = at + overlap
            old = (
                Secret(mac=former.mac, until=min(former.until or end, end))
                for former in key.secrets
                if former.until is None or former.until > at
            )
            renewed = {} if expires_at is ... else {"expires_at": expires_at}
            keys[id_] = key.model_copy(update={"secrets": (secret, *old), **renewed})
            self._note("rotated", keys[id_], at, by)
        return keys[id_], token

    def revoke(self, id_: str, now: datetime | None = None, by: str | None = None) -> Key:
        """End a key at once; it stays in the file, so that keys stay required and it is known what it was."""
        at = now or datetime.now(UTC)
        with self._editing() as keys:
            keys[id_] = self._valid(keys, id_, at, also_expired=True).model_copy(update={"revoked_at": at})
            self._note("revoked", keys[id_], at, by)
        return keys[id_]

    def _note(self, act: Act, key: Key, at: datetime, by: str | None) -> None:
        more = {"prefixes": key.prefixes, "label": key.label, "expires_at": key.expires_at}
        self._history.add(make_act(act, key.id, key.role, at, by, **more))

    @staticmethod
    def _valid(keys: Mapping[str, Key], id_: str, at: datetime, *, also_expired: bool = False) -> Key:
        key = keys.get(id_)
        if key is None:
            raise KeyFileError(f"没有编号为 {id_} 的密钥。", f"There is no key with id {id_}.")
        state = key.state(at)
        if state == "revoked" or (state == "expired" and not also_expired):
            zh = {"revoked": "已撤销", "expired": "已过期"}[state]
            raise KeyFileError(f"密钥 {id_} {zh};请另建新的。", f"Key {id_} is {state}; make a new one.")
        return key

    def _new_secret(self, id_: str) -> tuple[str, Secret]:
        secret = secrets.token_urlsafe(32)
        return f"sk_{id_}_{secret}", Secret(mac=self._pepper.mac(id_, secret))

    @contextlib.contextmanager
    def _editing(self) -> Iterator[dict[str, Key]]:
        """Read the file, let the caller change it, write it; under a lock."""
        try:
            lock = open(os.open(f"{self._file}.lock", os.O_RDWR | os.O_CREAT, 0o600), "w")  # noqa: SIM115
        except OSError as error:
            raise _not_written(self._file, error) from None
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            keys = _read(self._file, self._pepper)
            yield keys
            self._write(keys)

    def _write(self, keys: Mapping[str, Key]) -> None:
        """Replace the file atomically: a reader sees the old or the new one."""
        raw = _Content(pepper=self._pepper.check, keys=tuple(keys.values())).model_dump_json(
            indent=1, exclude_none=True
        )
        fresh = self._file.with_name(self._file.name + ".new")
        try:
            fresh.unlink(missing_ok=True)
            with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
                out.write(raw + "\n")
                out.flush()
                os.fsync(out.fileno())
            fresh.replace(self._file)
        except OSError as error:
            raise _not_written(self._file, error) from None


def _signature(file: Path) -> tuple[int, int, int] | None:
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _not_written(file: Path, error: OSError) -> KeyFileError:
    why = error.strerror or type(error).__name__
    return KeyFileError(f"无法写密钥文件 {file}({why})。", f"The key file cannot be written ({why}).")
