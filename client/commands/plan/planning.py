"""The HTTP API of planning, as far as the commands ask it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, Literal, NoReturn, NotRequired, Self, TypedDict

import httpx
import orjson

from client.messages import JsonObject
from client.output import AWAY, USAGE, CommandError
from client.settings import ClientSettings
from client.web import cause_of, json_of
from shared.contract.messages import Receipt

Action = Literal["close", "restate"]
_SECONDS: Final = 120.0  # a close waits until everything is counted
_PASSES: Final = (408, 425, 429)
_YAML: Final = {"content-type": "application/yaml"}
_XLSX: Final = {"content-type": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"}


class BothLanguages(TypedDict):
    """A text in both languages."""

    zh: str
    en: str


class TargetAnswer(TypedDict):
    """A target; `op` is None where none is set, `upper` is there for a range."""

    op: str | None
    value: float | None
    upper: float | None
    months: dict[str, float] | None


class PeriodAnswer(TypedDict):
    """The target of a year or of the plan, its parts, and what they leave over."""

    period: str
    target: TargetAnswer | None
    districts: dict[str, TargetAnswer]
    sum_of_districts: float | None
    difference: float | None
    difference_of_months: float | None


class HistoryEntry(TypedDict):
    """One change of a target; `id`: of the report, where the key may see it."""

    id: NotRequired[str]
    effective_from: str | None
    district: str | None
    target: TargetAnswer | None
    by: str | None
    why: str | None


class IndicatorAnswer(TypedDict):
    """The targets of an indicator and their history."""

    id: str
    name: BothLanguages
    unit: str
    periods: list[PeriodAnswer]
    history: list[HistoryEntry]


class AdoptionAnswer(TypedDict):
    """What was adopted last."""

    sha256: str


class TargetsAnswer(TypedDict):
    """The targets of a plan in force on a day; `holder`: whose key asked, from a server that says so."""

    plan: str
    on: str
    adopted: AdoptionAnswer | None
    indicators: list[IndicatorAnswer]
    holder: NotRequired[str]


class PlannedChange(TypedDict):
    """One thing that adopting a file would change."""

    indicator: str
    what: str
    district: str | None
    before: str | None
    after: str | None


class DiffAnswer(TypedDict):
    """What adopting a file would change; `document` is what would be adopted."""

    plan: str
    sha256: str
    against: str | None
    changes: list[PlannedChange]
    document: JsonObject


class TableChangeAnswer(TypedDict):
    """One thing that a table of targets would change; numbers as people read them."""

    row: int
    indicator: str
    name: BothLanguages
    period: str
    district: str | None
    before: str | None
    after: str


class TableFaultAnswer(BothLanguages):
    """What is wrong in a row of a table."""

    row: int
    column: str


class TableReportAnswer(TypedDict):
    """What is to be reported for a row of a table, without who decides and why."""

    row: int
    type: str
    subject: str
    data: JsonObject


class TableAnswer(TypedDict):
    """What importing a table of targets would change, and what is to be reported for it."""

    plan: str
    effective_from: str
    changes: list[TableChangeAnswer]
    faults: list[TableFaultAnswer]
    reports: list[TableReportAnswer]


class DistrictMonthAnswer(TypedDict, total=False):
    """How the month of a district stands."""

    district: str
    state: str
    by: str | None
    message: str | None


class RequestAnswer(TypedDict):
    """A restatement that was asked for."""

    request_no: str
    by: str | None
    why: str | None


class PublicationAnswer(TypedDict):
    """Figures of a month as they were published; `request_no`: for which request, where the key may see it."""

    request_no: str | None


class MonthAnswer(TypedDict):
    """How a month stands, what was published and asked for, and what this key may do."""

    plan: str
    month: str
    state: str
    districts: list[DistrictMonthAnswer]
    published: list[PublicationAnswer]
    requests: list[RequestAnswer]
    may: list[str]


class PlanningApi:
    """A client of planning; every method raises CommandError where there is no answer, or an error in its place."""

    def __init__(self, address: str, settings: ClientSettings, service: str = "planning") -> None:
        """`service`: whose doors these are, where it is another than planning."""
        self.service = service
        self._address = address
        self._http = settings.wire().synchronous(_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def targets(self, plan: str, on: str | None) -> TargetsAnswer:
        """Return the targets in force on a day, today where none is given."""
        targets: TargetsAnswer = self._get(f"/v1/plans/{plan}", {"on": on} if on else {})
        return targets

    def month(self, plan: str, month: str) -> MonthAnswer:
        """Return how a month stands."""
        answer: MonthAnswer = self._get(f"/v1/plans/{plan}/months/{month}", {})
        return answer

    def diff(self, plan: str, file: Path) -> DiffAnswer:
        """Return what adopting a plan file would change."""
        response = self._request("POST", f"/v1/plans/{plan}/diff", content=file.read_bytes(), headers=_YAML)
        diff: DiffAnswer = orjson.loads(_success(response).content)
        return diff

    def table(self, plan: str, on: str) -> bytes:
        """Return the targets in force on a day as a workbook."""
        path = f"{self._address}/v1/plans/{plan}/targets/workbook"
        try:
            response = self._http.request("GET", path, params={"on": on})
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            cause = cause_of(error, self._address)
            raise self._away(cause.zh, cause.en) from None
        if response.headers.get("content-type") != _XLSX["content-type"]:
            self._get(f"/v1/plans/{plan}/targets", {"on": on})  # says what is wrong
        return _success(response).content

    def compare_table(self, plan: str, file: Path, effective_from: str) -> TableAnswer:
        """Return what importing an edited workbook would change from a day on."""
        path, parameters = f"/v1/plans/{plan}/targets/workbook", {"effective_from": effective_from}
        response = self._request("POST", path, params=parameters, content=file.read_bytes(), headers=_XLSX)
        table: TableAnswer = orjson.loads(_success(response).content)
        return table

    def report(self, event: JsonObject) -> Receipt:
        """Report what was decided and return its receipt."""
        headers = {"content-type": "application/cloudevents+json"}
        return _receipt(self._request("POST", "/v1/events", content=orjson.dumps(event), headers=headers))

    def receipts(self, source: str, id_: str) -> list[Receipt]:
        """Return the receipts of a report at every service, as the projection has them; none where there is none."""
        response = self._request("GET", "/v1/receipts", params={"source": source, "id": id_})
        if response.status_code == httpx.codes.NOT_FOUND:
            return []
        receipts: list[Receipt] = orjson.loads(_success(response).content)["receipts"]
        return receipts

    def publish(self, plan: str, month: str, action: Action, data: JsonObject) -> Receipt:
        """Close or restate a month and return the receipt."""
        return _receipt(self._request("POST", f"/v1/plans/{plan}/months/{month}/{action}", json=data))

    def _get(self, path: str, parameters: dict[str, str]) -> Any:
        return orjson.loads(_success(self._request("GET", path, params=parameters)).content)

    def _request(self, method: str, path: str, **request: Any) -> httpx.Response:
        try:
            response = self._http.request(method, self._address + path, **request)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            cause = cause_of(error, self._address)
            raise self._away(cause.zh, cause.en) from None
        if json_of(response) is None:
            status = response.status_code
            raise self._away(
                f"应答的不是它(HTTP {status}),请核对地址和代理",
                f"something else answers (HTTP {status}); check address and proxy",
            )
        return response

    def _away(self, zh: str, en: str) -> CommandError:
        where = self._address
        option = {"planning": "--url", "projection": "SKILLPLAN_PROJECTION"}.get(self.service, "SKILLPLAN_SERVICES")
        return CommandError(
            f"无法连接 {self.service}({where}):{zh}。请看 make status,或用 {option} 指明。",
            f"{self.service} cannot be reached at {where}: {en}. See make status, or name it with {option}.",
            "service-away",
            AWAY,
        )


def _receipt(response: httpx.Response) -> Receipt:
    receipt: Receipt = orjson.loads(response.content)
    if not {"status", "reasons"} <= receipt.keys():
        _fail(response)
    return receipt


def _success(response: httpx.Response) -> httpx.Response:
    if not response.is_success:
        _fail(response)
    return response


def _fail(response: httpx.Response) -> NoReturn:
    problem = response.json()
    faults = problem.get("faults", ())
    zh = [f"{fault['line']}: {fault['path'] or '(file)'}: 应为 {fault['zh']}" for fault in faults]
    en = [f"{fault['line']}: {fault['path'] or '(file)'}: expected {fault['en']}" for fault in faults]
    raise CommandError(
        "\n".join([problem.get("zh", "没有应答。"), *zh]),
        "\n".join([problem.get("en", "No answer."), *en]),
        exit_code=AWAY if response.status_code in _PASSES or response.is_server_error else USAGE,
    )
