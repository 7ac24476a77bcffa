"""Hides Kafka's client: where the broker is, as whom we speak to it, why it refuses us, three faults of aiokafka.

In 0.14 a header's name that is no UTF-8 raised in the midst of a batch, again after every start; and a partition
without a leader (its broker was stopped in order) made clients ask for metadata 5,000 times a second, with two log
lines each: the back-off meant for it is not taken. And a compressed batch, of which the broker bounds the packed size
alone, was unpacked to whatever it is: 31 KB to 1 GB.
"""

import asyncio
import mmap
import os
import ssl
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import cramjam
from aiokafka.client import AIOKafkaClient
from aiokafka.conn import create_conn
from aiokafka.consumer import fetcher
from aiokafka.errors import (
    CorruptRecordException,
    KafkaError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
    UnsupportedSaslMechanismError,
)
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.record.default_records import DefaultRecordBatch, _DefaultRecordBatchPy, _DefaultRecordPy
from aiokafka.record.memory_records import _MemoryRecordsPy
from pydantic import Field, FilePath, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

_PAUSE_SECONDS: Final = 0.2
_MAGIC_OFFSET: Final = 16
_WITH_HEADERS: Final = 2
_CODEC_OFFSET: Final = 22  # the lower byte of the attributes
_HEADER: Final = _DefaultRecordBatchPy.HEADER_STRUCT.size
_CODEC_MASK: Final = _DefaultRecordBatchPy.CODEC_MASK
# What a batch may unpack to, twice a whole batch over HTTP (RULES A16). Snappy packs 21 to 1 at best and is let be.
_MOST: Final = 8 * 1024 * 1024
_UNPACK: Final[dict[int, Callable[[memoryview, mmap.mmap], int]]] = {
    _DefaultRecordBatchPy.CODEC_GZIP: cramjam.gzip.decompress_into,
    _DefaultRecordBatchPy.CODEC_LZ4: cramjam.lz4.decompress_into,
    _DefaultRecordBatchPy.CODEC_ZSTD: cramjam.zstd.decompress_into,
}
MECHANISM: Final = "SCRAM-SHA-512"
_LOOK_MS: Final = 10_000
MISSING_TOPICS: Final = "缺少主题 missing topics"

_ask: Final[Any] = AIOKafkaClient._metadata_update


class BrokerSettings(BaseSettings):
    """What whoever speaks with Kafka is told: `SKILLPLAN_…` in the environment, or files of that name, in lower case,
    in the folder `SKILLPLAN_SECRETS`."""

    model_config = SettingsConfigDict(
        env_prefix="SKILLPLAN_", frozen=True, extra="ignore", secrets_dir=os.environ.get("SKILLPLAN_SECRETS")
    )

    kafka: str = Field("127.0.0.1:9092", description="Kafka servers, host:port, separated by commas")
    kafka_user: str = Field("", description="Kafka user, for SASL/SCRAM-SHA-512; none: no credential is shown")
    kafka_password: SecretStr = Field(SecretStr(""), description="Password of the Kafka user", validate_default=True)
    kafka_ca: FilePath | None = Field(None, description="File of the CA that signed the broker's certificate: TLS")

    @field_validator("kafka_password")
    @classmethod
    def _belongs_to_a_user(cls, password: SecretStr, told: ValidationInfo) -> SecretStr:
        if bool(password.get_secret_value()) != bool(told.data.get("kafka_user")):
            raise ValueError("SKILLPLAN_KAFKA_USER 与密码须同时设置 user and password go together")
        return password

    @field_validator("kafka_ca")
    @classmethod
    def _holds_certificates(cls, ca: FilePath | None) -> FilePath | None:
        if ca is not None:
            try:
                ssl.create_default_context(cafile=ca)
            except OSError as error:  # an SSLError is one
                raise ValueError(f"文件中没有可用的 CA 证书 no usable CA certificate in this file ({ca})") from error
        return ca

    @property
    def broker(self) -> "Broker":
        """The broker these settings speak of."""
        trusted = ssl.create_default_context(cafile=self.kafka_ca) if self.kafka_ca else None
        return Broker(self.kafka, self.kafka_user, self.kafka_password.get_secret_value(), trusted)


def wrong_settings(error: ValidationError) -> str:
    """Say what is wrong with settings, naming each, quoting none."""
    wrong = (f"SKILLPLAN_{str(e['loc'][0]).upper()}: {e['msg']}" for e in error.errors())
    return "; ".join(f"设置有误 wrong setting: {text}" for text in wrong)


@dataclass(frozen=True, slots=True)
class Broker:
    """Where Kafka is, and as whom we speak to it; `trusted` makes it TLS."""

    servers: str
    user: str = ""
    password: str = field(default="", repr=False)
    trusted: ssl.SSLContext | None = None

    def client(self) -> dict[str, Any]:
        """Return what every client of aiokafka is told, its faults mended."""
        patch_clients()
        return {"bootstrap_servers": self.servers, **self._security()}

    def _security(self) -> dict[str, Any]:
        protocol = ("SASL_" if self.user else "") + ("SSL" if self.trusted else "PLAINTEXT")
        told: dict[str, Any] = {"security_protocol": protocol, "ssl_context": self.trusted}
        if self.user:
            told |= {
                "sasl_mechanism": MECHANISM,
                "sasl_plain_username": self.user,
                "sasl_plain_password": self.password,
            }
        return told

    async def problem(self, topics: Collection[str] = ()) -> str | None:
        """Say in one sentence why the broker, or one of these topics, is closed to us; None when all is open.

        Clients themselves say "unable to bootstrap" to a wrong password, an unknown CA and a broken cable alike.
        """
        problem: str | None = "没有服务器 no server is named in SKILLPLAN_KAFKA"
        for server in self.servers.split(","):
            problem = await self._look(server.strip(), topics)
            if problem is None:
                break
        return problem

    async def _look(self, server: str, topics: Collection[str]) -> str | None:
        host, _, port = server.rpartition(":")
        if not host or not port.isdecimal():
            return f"地址应为 主机:端口 an address is host:port: {server}"
        try:
            connection = await create_conn(host, int(port), request_timeout_ms=_LOOK_MS, **self._security())
            try:
                answer = await connection.send(MetadataRequest(sorted(topics)))
            finally:
                # What is not waited for would be closed by nobody where the loop ends next.
                await asyncio.wait([connection.close()], timeout=1)
        except ssl.SSLCertVerificationError as error:
            return (
                f"{server} 的证书未获 SKILLPLAN_KAFKA_CA 信任 its certificate is not trusted by SKILLPLAN_KAFKA_CA:"
                f" {error.verify_message}"
            )
        except ssl.SSLError:
            return f"{server} 不使用 TLS,或 TLS 协商失败 it does not speak TLS, or not ours (SKILLPLAN_KAFKA_CA)"
        except SaslAuthenticationFailed:
            return f"{server} 拒绝用户 {self.user}:用户名或密码不对 it refused user {self.user}: wrong user or password"
        except UnsupportedSaslMechanismError:
            return f"{server} 不接受 {MECHANISM} it does not take {MECHANISM}"
        except (KafkaError, ConnectionResetError, ConnectionAbortedError):
            return (
                f"{server} 断开了连接,该端口对 TLS 或密码的要求可能不同"
                " it closed the connection; this port may want TLS, a password, or neither"
                " (SKILLPLAN_KAFKA_CA, SKILLPLAN_KAFKA_USER)"
            )
        except (OSError, TimeoutError):
            return f"{server} 连不上 not available"
        errors = {topic[1]: topic[0] for topic in answer.topics}
        missing = [name for name, code in errors.items() if code == UnknownTopicOrPartitionError.errno]
        closed = [name for name, code in errors.items() if code == TopicAuthorizationFailedError.errno]
        if missing:
            return f"{MISSING_TOPICS}: {', '.join(missing)} (python -m deploy.kafka.topics)"
        if closed:
            return f"用户 {self.user} 无权访问主题 user {self.user} may not use these topics: {', '.join(closed)}"
        return None


def patch_clients() -> None:
    """Mend every client of this process, Faust's too. Repeating it is harmless."""
    AIOKafkaClient._metadata_update = _ask_patiently
    fetcher.MemoryRecords = _Records


async def _ask_patiently(client: Any, *arguments: Any) -> bool:
    told: bool = await _ask(client, *arguments)
    if not told:
        await asyncio.sleep(_PAUSE_SECONDS)
    return told


class _Records(_MemoryRecordsPy):  # type: ignore[misc]
    """What one fetch brought of a partition, batch by batch; what is too much to unpack at once is fetched again."""

    _unpacked = 0

    def has_next(self) -> bool:
        return self._unpacked < _MOST and bool(super().has_next())

    def next_batch(self) -> Any:
        raw = self._next_slice
        batch = super().next_batch()
        return _Batch(batch, raw, self) if raw is not None and raw[_MAGIC_OFFSET] >= _WITH_HEADERS else batch

    def unpack(self, raw: memoryview) -> memoryview:
        """Return a batch as it would be had it not been compressed; raises cramjam's error where it is too large."""
        unpack = _UNPACK.get(raw[_CODEC_OFFSET] & _CODEC_MASK)
        if unpack is None:
            return raw
        with mmap.mmap(-1, _MOST) as room:
            size = unpack(raw[_HEADER:], room)
            plain = bytearray(raw[:_HEADER]) + room[:size]
        plain[_CODEC_OFFSET] &= ~_CODEC_MASK
        self._unpacked += size
        return memoryview(plain)


class _Batch:
    """A batch that can be read whatever its headers are called, and however small something large was packed."""

    def __init__(self, batch: Any, raw: memoryview, records: _Records) -> None:
        self._batch = batch
        self._raw = raw
        self._records = records

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __next__(self) -> Any:
        return next(self._batch)

    def __iter__(self) -> Iterator[Any]:
        try:
            raw = self._records.unpack(self._raw)
        except cramjam.DecompressionError:
            # One message in place of all, as it came: it goes to quarantine.
            packed, last = bytes(self._raw[_HEADER:]), self.next_offset - 1
            return iter([_DefaultRecordPy(last, self.max_timestamp, self.timestamp_type, None, packed, [])])
        try:
            return iter(list(DefaultRecordBatch(raw)))
        except (UnicodeDecodeError, CorruptRecordException):
            plain = _DefaultRecordBatchPy(raw)
            plain._maybe_uncompress()
            plain._buffer = _Lenient(plain._buffer)
            return iter(list(plain))


class _Lenient(bytearray):
    """Bytes that show what is no UTF-8 as escapes."""

    def __getitem__(self, at: Any) -> Any:
        found = super().__getitem__(at)
        return _Lenient(found) if isinstance(at, slice) else found

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        return super().decode(encoding, "backslashreplace" if errors == "strict" else errors)
