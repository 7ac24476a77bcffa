"""Requests of Kafka's protocol that aiokafka lacks: users with their passwords and quotas, and many rights at once.

confluent-kafka's AdminClient has both, and is not taken for them: 14 MB in the image, a second TLS stack with settings
of its own, and no request for quotas (2.16.1), for which a request like these would be needed all the same.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection, Mapping
from typing import Final, NamedTuple

from aiokafka.protocol.admin import CreateAclsRequest_v1
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    Array,
    Boolean,
    CompactArray,
    CompactBytes,
    CompactString,
    Float64,
    Int8,
    Int16,
    Int32,
    Schema,
    String,
    TaggedFields,
)

_SCRAM_SHA_512: Final = 2
_ITERATIONS: Final = 8192


class _PasswordsSet(Response):  # type: ignore[misc]
    API_KEY = 51
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "results",
            CompactArray(
                ("user", CompactString("utf-8")),
                ("error_code", Int16),
                ("error_message", CompactString("utf-8")),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _SetPasswordsVersion0(RequestStruct):  # type: ignore[misc]
    API_KEY = 51
    API_VERSION = 0
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = _PasswordsSet
    SCHEMA = Schema(
        ("deletions", CompactArray(("name", CompactString("utf-8")), ("mechanism", Int8), ("tags", TaggedFields))),
        (
            "upsertions",
            CompactArray(
                ("name", CompactString("utf-8")),
                ("mechanism", Int8),
                ("iterations", Int32),
                ("salt", CompactBytes),
                ("salted_password", CompactBytes),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _UsersFound(Response):  # type: ignore[misc]
    API_KEY = 50
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("error_code", Int16),
        ("error_message", CompactString("utf-8")),
        (
            "results",
            CompactArray(
                ("user", CompactString("utf-8")),
                ("error_code", Int16),
                ("error_message", CompactString("utf-8")),
                ("credentials", CompactArray(("mechanism", Int8), ("iterations", Int32), ("tags", TaggedFields))),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _FindUsersVersion0(RequestStruct):  # type: ignore[misc]
    API_KEY = 50
    API_VERSION = 0
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = _UsersFound
    SCHEMA = Schema(
        ("users", CompactArray(("name", CompactString("utf-8")), ("tags", TaggedFields))), ("tags", TaggedFields)
    )


class _QuotasSet(Response):  # type: ignore[misc]
    API_KEY = 49
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "entries",
            Array(
                ("error_code", Int16),
                ("error_message", String("utf-8")),
                ("entity", Array(("type", String("utf-8")), ("name", String("utf-8")))),
            ),
        ),
    )


class _SetQuotasVersion0(RequestStruct):  # type: ignore[misc]
    API_KEY = 49
    API_VERSION = 0
    RESPONSE_TYPE = _QuotasSet
    SCHEMA = Schema(
        (
            "entries",
            Array(
                ("entity", Array(("type", String("utf-8")), ("name", String("utf-8")))),
                ("ops", Array(("key", String("utf-8")), ("value", Float64), ("remove", Boolean))),
            ),
        ),
        ("validate_only", Boolean),
    )


class _PasswordRow(NamedTuple):
    user: str
    mechanism: int
    iterations: int
    salt: bytes
    salted_password: bytes
    tags: dict[int, bytes]


class _Deletion(NamedTuple):
    user: str
    mechanism: int
    tags: dict[int, bytes]


class AclRow(NamedTuple):
    """One right, in the order of the protocol's fields."""

    resource: int
    name: str
    pattern: int
    principal: str
    host: str
    operation: int
    permission: int


class SetPasswords(Request[_SetPasswordsVersion0]):  # type: ignore[misc]
    """AlterUserScramCredentials, which aiokafka does not have; the broker never sees a password.

    `gone`: users that have one no longer.
    """

    API_KEY = 51

    def __init__(self, passwords: Mapping[str, str], gone: Collection[str]) -> None:
        self._gone = [_Deletion(user, _SCRAM_SHA_512, {}) for user in sorted(gone)]
        self._rows: list[_PasswordRow] = []
        for user, password in passwords.items():
            salt = secrets.token_bytes(16)
            salted = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, _ITERATIONS)
            self._rows.append(_PasswordRow(user, _SCRAM_SHA_512, _ITERATIONS, salt, salted, {}))

    def build(self, request_struct_class: type[_SetPasswordsVersion0]) -> _SetPasswordsVersion0:
        """Write the request."""
        return request_struct_class(self._gone, self._rows, {})


class FindUsers(Request[_FindUsersVersion0]):  # type: ignore[misc]
    """DescribeUserScramCredentials of every user that has a password."""

    API_KEY = 50

    def build(self, request_struct_class: type[_FindUsersVersion0]) -> _FindUsersVersion0:
        """Write the request."""
        return request_struct_class(None, {})


class SetQuotas(Request[_SetQuotasVersion0]):  # type: ignore[misc]
    """AlterClientQuotas: the same limits for each of some users, by the names that the broker has for them."""

    API_KEY = 49

    def __init__(self, users: Collection[str], limits: Mapping[str, float]) -> None:
        limit_rows = [(key, value, False) for key, value in limits.items()]
        self._rows = [([("user", user)], limit_rows) for user in sorted(users)]

    def build(self, request_struct_class: type[_SetQuotasVersion0]) -> _SetQuotasVersion0:
        """Write the request."""
        return request_struct_class(self._rows, False)


class CreateAcls(Request[CreateAclsRequest_v1]):  # type: ignore[misc]
    """Many at once; aiokafka's own sends one."""

    API_KEY = 30

    def __init__(self, rows: list[AclRow]) -> None:
        self._rows = rows

    def build(self, request_struct_class: type[CreateAclsRequest_v1]) -> CreateAclsRequest_v1:
        """Write the request."""
        return request_struct_class(self._rows)
