"""The topic and key of a report, and its service."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from pydantic import JsonValue

from client.fields import LANGUAGES
from client.output import USAGE, CommandError
from services.catalogue import DOMAIN_SERVICES, OFFICE, OFFICE_USER
from shared.contract.decoder import is_whole
from shared.kafka.names import district_user, reports_topic

_SERVICES: Final = "|".join(language.service for language in LANGUAGES)
_TYPE: Final = re.compile(rf"skillplan\.({_SERVICES})\.[a-z][a-z0-9-]*\.v[1-9][0-9]*")
_SOURCE: Final = re.compile(r"/districts/([0-9]{6})/[A-Za-z0-9._-]{1,40}")


class CannotPublishError(CommandError):
    """One report cannot be sent, others can; the texts quote nothing of it."""

    def __init__(self, zh: str, en: str) -> None:
        super().__init__(zh, en, "cannot-be-sent")


class CannotReachError(CannotPublishError):
    """A report cannot be sent because its service cannot be reached: so it is with every report of that service."""

    def __init__(self, zh: str, en: str, code: str, exit_code: int = USAGE) -> None:
        super().__init__(zh, en)
        self.code, self.exit_code = code, exit_code


class Route(NamedTuple):
    """Where a report goes."""

    service: str
    district: str
    key: bytes

    @property
    def topic(self) -> str:
        """The topic of the service for reports of the district, or of the plan office."""
        return reports_topic(self.service, OFFICE if self.is_of_the_office else self.district)

    @property
    def user(self) -> str:
        """The user of the broker who may write there."""
        return OFFICE_USER if self.is_of_the_office else district_user(self.district)

    @property
    def is_of_the_office(self) -> bool:
        """Whether it is for the plan office to say (RULES F1a)."""
        return is_whole(self.district) and not DOMAIN_SERVICES[self.service].counted


def route(event: Mapping[str, JsonValue]) -> Route:
    """Return where a report goes: the service is in its type, the district in its source; the key is its subject, so
    that the reports of one subject stay in order (RULES A10, A17). Raises CannotPublishError."""
    kind = _TYPE.fullmatch(str(event.get("type", "")))
    if kind is None:
        raise CannotPublishError(
            "报告类型(type)不是 skillplan.<服务>.<事实>.v<n>", "type is not of the form skillplan.<service>.<fact>.v<n>"
        )
    district = district_of(event.get("source", ""))
    if district is None:
        raise CannotPublishError(
            "来源(source)不是 /districts/<区划代码>/<系统>", "source is not of the form /districts/<code>/<system>"
        )
    subject = event.get("subject")
    if not isinstance(subject, str) or not subject:
        raise CannotPublishError("缺少业务编号(subject)", "the subject is missing")
    return Route(kind[1], district, subject.encode())


def district_of(source: JsonValue) -> str | None:
    """Return the district code in a source, None where it is not /districts/<code>/<system>."""
    match = _SOURCE.fullmatch(str(source))
    return match[1] if match else None
