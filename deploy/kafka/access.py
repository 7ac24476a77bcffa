"""Users and rights on the broker: who may do what, and the command that makes it so: `python -m deploy.kafka.access`.

One user a service, one a district, one of the plan office. What nobody is allowed here is refused by the broker, so a
topic's name binds its sender (RULES A10). Run it where the broker takes us for its administrator.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.admin import DeleteAclsRequest, DescribeAclsRequest
from pydantic import DirectoryPath, Field, ValidationError

from deploy.kafka import topics
from deploy.kafka.requests import AclRow, CreateAcls, FindUsers, SetPasswords, SetQuotas
from services.catalogue import DOMAIN_SERVICES, OFFICE_USER, WITH_DATABASE
from shared.contract.decoder import is_whole
from shared.kafka import names
from shared.kafka.clients import Broker, BrokerSettings, wrong_settings
from shared.plan.districts import district_codes

# Numbers of Kafka's protocol.
_TOPIC, _GROUP = 2, 3
_ANY, _LITERAL, _PREFIXED = 1, 3, 4
_READ, _WRITE, _DELETE = 3, 4, 6
_ALLOW: Final = 3
_NAMESPACE: Final = re.compile(r"User:([a-z][a-z0-9]{1,19})\.")
# Of each user that is none of our services: bytes a second in and out, and per cent of one thread of the broker. A
# district that sends a year's reports at once takes minutes and delays nobody else.
QUOTAS: Final[Mapping[str, float]] = {
    "producer_byte_rate": 1024 * 1024,
    "consumer_byte_rate": 4 * 1024 * 1024,
    "request_percentage": 25,
}


@dataclass(frozen=True, order=True)
class Right:
    """One thing that one user may do; reading or writing a topic lets its user see that it is there."""

    user: str
    operation: int
    resource: int
    name: str
    pattern: int = _LITERAL

    def row(self, broker: Broker) -> AclRow:
        """Return it as the protocol writes it, by the names on this broker."""
        user, name = f"User:{broker.named(self.user)}", broker.named(self.name)
        return AclRow(self.resource, name, self.pattern, user, "*", self.operation, _ALLOW)


def users(districts: Iterable[str]) -> list[str]:
    """List every user of an installation with these districts."""
    return [*WITH_DATABASE, OFFICE_USER, *(names.district_user(code) for code in sorted(set(districts)))]


def rights(districts: Iterable[str]) -> set[Right]:
    """List all that is allowed in an installation with these districts."""
    allowed: set[Right] = set()
    for service, entry in DOMAIN_SERVICES.items():
        allowed |= {
            Right(service, _READ, _TOPIC, names.reports_topic(service, ""), _PREFIXED),
            # A backup lets go what it has: reports hold identity numbers in clear.
            Right(service, _DELETE, _TOPIC, names.reports_topic(service, ""), _PREFIXED),
            Right(service, _READ, _GROUP, names.consumer_group(service), _PREFIXED),
            Right(service, _WRITE, _TOPIC, names.events_topic(service)),
            # It compares its log with what it published, and takes that back after a restore (decision 0020).
            Right(service, _READ, _TOPIC, names.events_topic(service)),
            Right(service, _READ, _TOPIC, names.receipts_topic(""), _PREFIXED),
            Right(service, _WRITE, _TOPIC, names.receipts_topic(""), _PREFIXED),
            Right(service, _WRITE, _TOPIC, names.QUARANTINE),
            Right(service, _WRITE, _TOPIC, names.SANDBOX_EVENTS),
            Right("projection", _READ, _TOPIC, names.events_topic(service)),
            *(Right(service, _READ, _TOPIC, names.events_topic(heard)) for heard in entry.hears),
            *({Right(service, _READ, _TOPIC, names.SANDBOX_EVENTS)} if entry.hears else ()),
        }
    allowed |= {
        Right("projection", _READ, _TOPIC, names.receipts_topic(""), _PREFIXED),
        Right("projection", _READ, _GROUP, names.consumer_group("projection"), _PREFIXED),
    }
    for code in districts:
        user = names.district_user(code)
        allowed |= {
            Right(user, _READ, _TOPIC, names.receipts_topic(code)),
            Right(user, _READ, _GROUP, user, _PREFIXED),
            *(Right(user, _WRITE, _TOPIC, names.reports_topic(service, code)) for service in DOMAIN_SERVICES),
        }
    return allowed | {
        Right(OFFICE_USER, _READ, _GROUP, OFFICE_USER, _PREFIXED),
        *(Right(OFFICE_USER, _READ, _TOPIC, names.receipts_topic(code)) for code in districts if is_whole(code)),
        *(Right(OFFICE_USER, _WRITE, _TOPIC, topic.name) for topic in topics.of_the_office()),
    }


async def ensure(
    broker: Broker, passwords: Mapping[str, str], allowed: set[Right], known: Collection[str] | None = None
) -> None:
    """Create users, quotas and rights on the broker, and delete every other right of users of ours. Idempotent.

    `known`: the users there are to be; a district's user that is none of them loses its password. What belongs to
    another namespace of the broker stays as it is.
    """
    wanted = {right.row(broker) for right in allowed}
    limited = [broker.named(user) for user in passwords if user not in WITH_DATABASE]
    passwords = {broker.named(user): password for user, password in passwords.items()}
    admin = AIOKafkaAdminClient(**broker.client())
    await admin.start()
    try:
        gone = set() if known is None else await _users_of_districts(admin, broker) - set(map(broker.named, known))
        made = await admin._send_request(SetPasswords(passwords, gone))
        _check((user, code, message) for user, code, message, _ in made.results)
        if limited:
            answer = await admin._send_request(SetQuotas(limited, QUOTAS))
            _check((entity[0][1], code, message) for code, message, entity in answer.entries)
        there = {row for row in await _there(admin) if _is_ours(row, broker)}
        given = sorted(wanted - there)
        if given:
            answer = await admin._send_request(CreateAcls(given))
            _check(
                (row.principal, code, message)
                for row, (code, message) in zip(given, answer.creation_responses, strict=True)
            )
        for row in there - wanted:
            taken = await admin._send_request(DeleteAclsRequest(*row))
            _check((row.principal, code, message) for code, message, _ in taken.filter_responses)
    finally:
        await admin.close()


def _is_ours(row: AclRow, broker: Broker) -> bool:
    """Return whether a right is of a user in our namespace; without one, of a user in none."""
    namespace = _NAMESPACE.match(row.principal)
    return (namespace[1] if namespace else "") == broker.namespace


async def _users_of_districts(admin: AIOKafkaAdminClient, broker: Broker) -> set[str]:
    answer = await admin._send_request(FindUsers())
    _check([("users", answer.error_code, answer.error_message)])
    return {user for user, *_ in answer.results if user.startswith(broker.named(names.district_user("")))}


async def _there(admin: AIOKafkaAdminClient) -> set[AclRow]:
    answer = await admin._send_request(DescribeAclsRequest(_ANY, None, _ANY, None, None, _ANY, _ANY))
    _check([("ACL", answer.error_code, answer.error_message)])
    return {
        AclRow(resource, name, pattern, principal, host, operation, permission)
        for resource, name, pattern, acls in answer.resources
        for principal, host, operation, permission in acls
    }


def _check(answers: Iterable[tuple[str, int, str | None]]) -> None:
    refused = [f"{whom}: {message or code}" for whom, code, message in answers if code]
    if refused:
        raise RefusedError(f"代理拒绝 refused by the broker: {'; '.join(refused)}")


class RefusedError(Exception):
    """The broker does not take us for its administrator, or has no authorizer."""


class _Settings(BrokerSettings):
    """Settings of this command: the broker, the plans with their districts, and the passwords."""

    plans: DirectoryPath = Field(Path("plans"), validate_default=True)
    kafka_passwords: DirectoryPath = Field(description="Folder with one file a user, of its name, holding its password")


async def _ensure(settings: _Settings) -> None:
    districts = district_codes(settings.plans)
    passwords = {}
    for user in users(districts):
        try:
            passwords[user] = (settings.kafka_passwords / user).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            sys.exit(f"✗ 读不到密码文件 cannot read the password file: {settings.kafka_passwords / user}")
        if not passwords[user]:
            sys.exit(f"✗ 密码文件是空的 the password file is empty: {settings.kafka_passwords / user}")
    if problem := await settings.broker.problem():
        sys.exit(f"✗ {problem}")
    allowed = rights(districts)
    try:
        await ensure(settings.broker, passwords, allowed, passwords)
    except RefusedError as error:
        sys.exit(f"✗ {error}")
    sys.stdout.write(f"access.ensured users={len(passwords)} rights={len(allowed)}\n")


if __name__ == "__main__":
    try:
        asyncio.run(_ensure(_Settings()))
    except ValidationError as invalid:
        sys.exit(wrong_settings(invalid))
