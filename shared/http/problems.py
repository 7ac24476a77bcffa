"""Errors over HTTP as problem+json (RFC 9457), in Chinese, English or both by Accept-Language."""

import re
from typing import TYPE_CHECKING, Final, Literal

import orjson
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Scope

if TYPE_CHECKING:
    from fastapi import FastAPI

Language = Literal["zh", "en"]

_LANGUAGE: Final = re.compile(r"(zh|en)(-[a-z0-9-]+)?")


class Problem(Exception):
    """An error that is not about one event, answered as problem+json."""

    def __init__(self, status: int, zh: str, en: str, **headers: str) -> None:
        super().__init__(en)
        self.status, self.zh, self.en = status, zh, en
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}

    def body(self, language: Language | None = None) -> bytes:
        """Return the JSON of RFC 9457: title and detail in one language, in both where `language` is None."""
        text = {"zh": self.zh, "en": self.en}.get(language or "", f"{self.zh} {self.en}")
        members = {
            "type": "about:blank",
            "status": self.status,
            "title": text,
            "detail": text,
            "zh": self.zh,
            "en": self.en,
        }
        return orjson.dumps(members)

    def response(self, language: Language | None) -> Response:
        """Return the HTTP response."""
        headers = self.headers if language is None else {**self.headers, "content-language": language}
        return Response(self.body(language), self.status, headers, "application/problem+json")


_TEXTS: Final = {
    400: ("请求无法读懂。", "The request cannot be understood."),
    404: ("没有这个地址。", "There is nothing at this address."),
    405: ("这个地址不支持该方法。", "This address does not take this method."),
    500: ("服务内部错误,已记录。", "An error of ours; it has been logged."),
}


def problem_of(status: int, **headers: str) -> Problem:
    """Return the problem of a status with its standard text."""
    return Problem(status, *_TEXTS.get(status, ("请求无法处理。", "The request cannot be handled.")), **headers)


def language_of(accepted: str | None) -> Language | None:
    """Return which of the two languages Accept-Language prefers; None where it names neither (RFC 9110, 12.5.4)."""
    best: tuple[float, Language | None] = (0.0, None)
    for part in (accepted or "").split(","):
        tag, _, weight = part.strip().partition(";")
        match = _LANGUAGE.fullmatch(tag.strip().lower())
        try:
            quality = float(weight.strip().removeprefix("q=") or 1)
        except ValueError:
            continue
        if match is not None and quality > best[0]:
            best = (quality, "en" if match[1] == "en" else "zh")
    return best[1]


def language_in(scope: Scope) -> Language | None:
    """Return the language that a request prefers."""
    return language_of(Headers(scope=scope).get("accept-language"))


def answer_problems(app: "FastAPI") -> None:
    """Answer every error of an app as problem+json in both languages; no text quotes the request."""
    from fastapi.exceptions import RequestValidationError  # noqa: PLC0415 - FastAPI costs a worker half a second to start

    @app.exception_handler(Problem)
    async def problem(request: Request, error: Problem) -> Response:
        return error.response(language_in(request.scope))

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        names = ", ".join(sorted({str(fault["loc"][-1]) for fault in error.errors()}))
        missing = Problem(422, f"请求参数缺失或不正确:{names}。", f"Missing or wrong in the request: {names}.")
        return missing.response(language_in(request.scope))

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        return problem_of(error.status_code, **dict(error.headers or {})).response(language_in(request.scope))

    @app.exception_handler(ClientDisconnect)
    async def gone(_request: Request, _error: ClientDisconnect) -> Response:
        return problem_of(408).response(None)  # the client has left

    @app.exception_handler(Exception)
    async def failed(request: Request, _error: Exception) -> Response:
        return problem_of(500).response(language_in(request.scope))
