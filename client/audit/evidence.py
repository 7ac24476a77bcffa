"""An evidence pack of a closed month: figures, contributions, facts, proofs, cosigned checkpoints, a page to check it.

The same logs, checkpoints and key give the same bytes. What the key may not see is left out, not its hash and proof.
"""

from __future__ import annotations

import hashlib
import io
import time
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, NamedTuple

import httpx
import orjson

from client.output import AWAY, CommandError
from client.web import cause_of, json_of
from shared.log.tree import WIDTH, tile_path

PAGE: Final = Path(__file__).with_name("check.html")
Decoded = dict[str, Any]
_FORMAT: Final = "skillplan-evidence/1"
_WINDOW: Final = 500
_AT_ONCE: Final = 8
_COVERED_WITHIN: Final = 30.0  # seconds
_PAUSE: Final = 0.5
_PLANNING: Final = "planning"
_HOW: Final = """怎样核验:用浏览器打开 check.html(不联网),把这个压缩包拖进去。它逐层核对:数字、构成它的事实、事实原文、
检查点、见证的副署,并用中文和英文指出哪一个数不符。页面所列公钥须与市级当面或以公文交付的逐字相同。

How to check: open check.html in a browser, offline, and drop this archive on it. It follows each figure to the facts
it is made of, their exact text, the checkpoints of the logs and the cosignatures of witnesses, and names the number
that does not match. The public keys that it lists must be those that the city handed over.
"""


class _Denied(Exception):
    """The key may not read it."""


class Counted(NamedTuple):
    """A figure's cell as the projection breaks it down: what adds up to it."""

    figure: Decoded
    facts: Sequence[Decoded]
    others: bool


class Sources:
    """The services of an installation, as a key sees them."""

    def __init__(self, http: httpx.Client, addresses: Mapping[str, str]) -> None:
        self._http, self._addresses = http, addresses

    def get(self, service: str, path: str, **parameters: object) -> httpx.Response:
        """Return an answer; raises CommandError where there is none, _Denied where the key may not."""
        if service not in self._addresses:
            raise CommandError(f"没有 {service} 的地址(SKILLPLAN_SERVICES)。", f"{service} has no address.")
        url = self._addresses[service] + path
        given = {name: str(value) for name, value in parameters.items() if value is not None}
        try:
            response = self._http.get(url, params=given)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            cause = cause_of(error, url)
            raise CommandError(
                f"无法连接 {service}:{cause.zh}。", f"{service} cannot be reached: {cause.en}.", "service-away", AWAY
            ) from None
        if response.status_code == HTTPStatus.FORBIDDEN:
            raise _Denied
        if not response.is_success:
            problem = json_of(response) or {}
            raise CommandError(
                problem.get("zh", f"{service} 没有应答。"), problem.get("en", f"{service} gave no answer."), "no-answer"
            )
        return response

    def json(self, service: str, path: str, **parameters: object) -> Decoded:
        """Return an answer that is an object."""
        answer: Decoded = orjson.loads(self.get(service, path, **parameters).content)
        return answer

    def lines(self, service: str, positions: Sequence[int]) -> dict[int, bytes]:
        """Return the exact bytes of facts; raises _Denied where the key may not read the log."""
        lines: dict[int, bytes] = {}
        for position in positions:
            if position not in lines:
                page = self.get(service, "/v1/log", format="ndjson", after=position - 1, limit=_WINDOW).content
                lines |= dict(enumerate(page.splitlines(), position))
        return {position: lines[position] for position in positions}

    def all_lines(self, service: str) -> Iterator[bytes]:
        """Yield the exact bytes of every fact of a log."""
        after = 0
        while page := self.get(service, "/v1/log", format="ndjson", after=after, limit=_WINDOW).content.splitlines():
            yield from page
            after += len(page)

    def digest(self, service: str, position: int) -> bytes:
        """Return the SHA-256 of a fact, which every key may read."""
        number, within = divmod(position - 1, WIDTH)
        path = f"/v1/log/tile/entries/{tile_path(number)}.p/{within + 1}"
        return self.get(service, path.removesuffix(f".p/{WIDTH}")).content[-32:]


def month_of(
    sources: Sources, plan: str, month: str, district: str | None, indicators: Sequence[str]
) -> dict[str, bytes]:
    """Return the files of the evidence of a closed month; `indicators`: of which, all where none are named."""
    closing = sources.json("projection", f"/v1/plans/{plan}/closings/{month}", district=district)
    known_at = closing["published"][-1]["known_at"]
    figures = [
        {name: value for name, value in figure.items() if name not in ("live", "after_close")}
        for figure in closing["figures"]
        if not indicators or figure["indicator"] in indicators
    ]  # fmt: skip
    cells = [_cell(sources, plan, figure, district, closing["as_of"], known_at) for figure in figures]
    places: dict[str, set[int]] = {}
    for cell in cells:
        for fact in cell.facts:
            places.setdefault(fact["service"], set()).add(fact["position"])
    closed = _closing_fact(sources, plan, month, closing["sha256"])
    if closed is not None:
        places[_PLANNING] = {closed["position"]}
    cosigned = {each["origin"].split("/")[1]: each for each in (closed or {}).get("data", {}).get("checkpoints") or ()}
    files = {
        "figures.json": _json({"plan": plan, "month": month, "as_of": closing["as_of"], "known_at": known_at,
                               "sha256": closing["sha256"], "district": district, "figures": figures}),
        "contributions.json": _json([_contributions(cell) for cell in cells]),
        "code.txt": closing["code"]["text"].encode(), "code.svg": closing["code"]["svg"].encode(),
    }  # fmt: skip
    keys: dict[str, str] = {}
    for service, positions in sorted(places.items()):
        keys[service] = sources.get(service, "/v1/log/key").text.strip()
        note = _note(cosigned[service]) if service in cosigned else _checkpoint(sources, service, max(positions))
        files[f"checkpoints/{service}.txt"] = note.encode()
        files |= _facts(sources, service, sorted(positions), int(note.split("\n")[1]))
    witnesses = sources.json("projection", f"/v1/plans/{plan}").get("witnesses") or {}
    files |= {"check.html": PAGE.read_bytes(), "README.txt": _HOW.encode()}
    manifest = {
        "format": _FORMAT, "plan": plan, "month": month, "known_at": known_at, "sha256": closing["sha256"],
        "keys": keys, "witnesses": {"needed": witnesses.get("needed", 0), "of": witnesses.get("of", [])},
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in sorted(files.items())},
    }  # fmt: skip
    return {"manifest.json": _json(manifest)} | files


def archive(files: Mapping[str, bytes]) -> bytes:
    """Return files as an archive: uncompressed, in the order of their names, without times."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_STORED) as pack:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.create_system, entry.external_attr = 3, 0o644 << 16
            pack.writestr(entry, files[name])
    return made.getvalue()


def _cell(sources: Sources, plan: str, figure: Decoded, district: str | None, as_of: str, known_at: str) -> Counted:
    """Return the facts of a figure as they were counted when it was published."""
    answer = sources.json(
        "projection", f"/v1/plans/{plan}/indicators/{figure['indicator']}/facts", period=figure["period"],
        district=district, as_of=as_of, known_at=known_at,
    )  # fmt: skip
    facts = sorted(answer["facts"], key=lambda fact: (fact["service"], fact["position"], fact["numerator"]))
    return Counted(figure, facts, answer["others"] is None or bool(answer["others"]))


def _contributions(cell: Counted) -> Decoded:
    names = ("service", "position", "subject", "on", "district", "report_id", "numerator", "denominator")
    return {
        "indicator": cell.figure["indicator"],
        "period": cell.figure["period"],
        "withheld": cell.others,
        "facts": [{name: fact[name] for name in names} for fact in cell.facts],
    }


def _closing_fact(sources: Sources, plan: str, month: str, sha256: str) -> Decoded | None:
    """Return the fact that published a month's figures last, None where the key may not read planning's log."""
    published = None
    try:
        for line in sources.all_lines(_PLANNING):
            if sha256.encode() in line and b".planning.period-" in line:
                fact: Decoded = orjson.loads(line)
                data: Any = fact["data"]
                if (data.get("plan"), data.get("month"), data.get("sha256")) == (plan, month, sha256):
                    published = fact
    except _Denied:
        return None
    return published


def _checkpoint(sources: Sources, service: str, position: int) -> str:
    """Return the checkpoint of a log that reaches a position; what was recorded a moment ago is waited for."""
    end = time.monotonic() + _COVERED_WITHIN
    while True:
        note = sources.get(service, "/v1/log/checkpoint").text
        size = int(note.split("\n")[1])
        if size >= position:
            return note
        if time.monotonic() > end:
            raise CommandError(
                f"{service} 的检查点到位置 {size},还没有包括所用的事实({position});请稍后再试。",
                f"The checkpoint of {service} reaches {size}, not the facts used ({position}) yet; try again later.",
                "not-covered",
                AWAY,
            )
        time.sleep(_PAUSE)


def _facts(sources: Sources, service: str, positions: Sequence[int], size: int) -> dict[str, bytes]:
    """Return the facts at some positions of a log, and the proofs that they are in the tree of a size."""
    try:
        lines = sources.lines(service, positions)
    except _Denied:
        lines = {}

    def proof(position: int) -> Decoded:
        path = sources.json(service, "/v1/log/proof", position=position, size=size)["proof"]
        digest = hashlib.sha256(lines[position]).digest() if lines else sources.digest(service, position)
        return {"position": position, "sha256": digest.hex(), "proof": path}

    with ThreadPoolExecutor(_AT_ONCE) as beside:
        proofs = list(beside.map(proof, positions))
    return {
        f"facts/{service}.ndjson": b"".join(lines.get(position, b"") + b"\n" for position in positions),
        f"proofs/{service}.json": _json(proofs),
    }


def _note(checkpoint: Decoded) -> str:
    """Return a checkpoint that a close carries as it was signed."""
    signatures = "".join(f"{line}\n" for line in checkpoint["signatures"])
    return f"{checkpoint['origin']}\n{checkpoint['size']}\n{checkpoint['root']}\n\n{signatures}"


def _json(content: object) -> bytes:
    return orjson.dumps(content, option=orjson.OPT_INDENT_2) + b"\n"
