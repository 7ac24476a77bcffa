"""Connection to Kafka: settings, the arguments of every client, and why a broker refuses us."""

import asyncio
import os
import ssl
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from aiokafka.conn import create_conn
from aiokafka.errors import (
    KafkaError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
    UnsupportedSaslMechanismError,
)
from aiokafka.protocol.metadata import MetadataRequest
from pydantic import Field, FilePath, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.kafka import patches

MECHANISM: Final = "SCRAM-SHA-512"
_LOOK_MS: Final = 10_000
MISSING_TOPICS: Final = "缺少主题 missing topics"


class ReservedTopic(NamedTuple):
    """The one topic from which types that are reserved to who plans for the whole area are taken.

    `sender`: what its name has in the place of a district; `user`: who alone may write it.
    """

    sender: str
    user: str


class BrokerSettings(BaseSettings):
    """Settings of every client of Kafka: `SKILLPLAN_…` in the environment, or files of that name, in lower case, in the
    folder `SKILLPLAN_SECRETS`."""

    model_config = SettingsConfigDict(
        env_prefix="SKILLPLAN_", frozen=True, extra="ignore", secrets_dir=os.environ.get("SKILLPLAN_SECRETS")
    )

    kafka: str = Field("127.0.0.1:9092", description="Kafka servers, host:port, separated by commas")
    namespace: str = Field(
        "", pattern=r"^([a-z][a-z0-9]{1,19})?$", description="What our topics and groups begin with on a shared broker"
    )
    kafka_user: str = Field("", description="Kafka user, for SASL/SCRAM-SHA-512; none: no credential is shown")
    kafka_password: SecretStr = Field(SecretStr(""), description="Password of the Kafka user", validate_default=True)
    kafka_ca: FilePath | None = Field(None, description="File of the CA that signed the broker's certificate: TLS")

    @field_validator("kafka_password")
    @classmethod
    def _belongs_to_a_user(cls, password: SecretStr, others: ValidationInfo) -> SecretStr:
        if bool(password.get_secret_value()) != bool(others.data.get("kafka_user")):
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
        """The broker of these settings."""
        trusted = ssl.create_default_context(cafile=self.kafka_ca) if self.kafka_ca else None
        return Broker(self.kafka, self.kafka_user, self.kafka_password.get_secret_value(), trusted, self.namespace)


def wrong_settings(error: ValidationError) -> str:
    """Return what is wrong with settings: names each, quotes no value."""
    wrong = (f"SKILLPLAN_{str(e['loc'][0]).upper()}: {e['msg']}" for e in error.errors())
    return "; ".join(f"设置有误 wrong setting: {text}" for text in wrong)


@dataclass(frozen=True, slots=True)
class Broker:
    """Address and credentials of Kafka; with `trusted` connections use TLS.

    `namespace`: where several installations share a broker, the names of what is ours there, topics, groups and users,
    begin with it. Our own code knows the names of the contract alone; what is handed to a client of Kafka is `named`.
    """

    servers: str
    user: str = ""
    password: str = field(default="", repr=False)
    trusted: ssl.SSLContext | None = None
    namespace: str = ""

    def named(self, name: str) -> str:
        """Return what something of ours is called on the broker."""
        return f"{self.namespace}.{name}" if self.namespace else name

    def plain(self, name: str) -> str:
        """Return what we call something of ours that has this name on the broker."""
        return name.removeprefix(self.named(""))

    def client(self) -> dict[str, str | ssl.SSLContext | None]:
        """Return the arguments of every client of aiokafka; its faults are repaired first."""
        patches.apply()
        return {"bootstrap_servers": self.servers, **self._security()}

    def _security(self) -> dict[str, str | ssl.SSLContext | None]:
        protocol = ("SASL_" if self.user else "") + ("SSL" if self.trusted else "PLAINTEXT")
        arguments: dict[str, str | ssl.SSLContext | None] = {"security_protocol": protocol, "ssl_context": self.trusted}
        if self.user:
            arguments |= {
                "sasl_mechanism": MECHANISM,
                "sasl_plain_username": self.named(self.user),
                "sasl_plain_password": self.password,
            }
        return arguments

    async def problem(self, topics: Collection[str] = ()) -> str | None:
        """Say in one sentence why the broker, or one of these topics of ours, is closed to us; None when all is open.

        Clients themselves say "unable to bootstrap" to a wrong password, an unknown CA and a broken cable alike.
        """
        # All at once: one that is cut off would keep the others waiting.
        looks = [asyncio.create_task(self._look(server.strip(), topics)) for server in self.servers.split(",")]
        problem: str | None = None
        try:
            for look in asyncio.as_completed(looks):
                problem = await look
                if problem is None:
                    break
        finally:
            for each in looks:
                each.cancel()
            await asyncio.wait(looks)
        return problem

    async def _look(self, server: str, topics: Collection[str]) -> str | None:
        host, _, port = server.rpartition(":")
        if not host or not port.isdecimal():
            return f"地址应为 主机:端口 an address is host:port: {server}"
        try:
            connection = await create_conn(host, int(port), request_timeout_ms=_LOOK_MS, **self._security())
            try:
                answer = await connection.send(MetadataRequest(sorted(map(self.named, topics))))
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
