"""The projection on a real broker and database: exact after kill -9, holes, standby, rebuild, another plan."""

import contextlib
import json
import re
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from functools import partial
from itertools import groupby
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlsplit

import pytest
from structlog.testing import capture_logs

from deploy.kafka import topics as deploy_topics
from deploy.local.progress import tables
from services.catalogue import DOMAIN_SERVICES
from services.projection.counting import generations, writers
from services.projection.counting import rebuild as rebuilding
from services.projection.counting.lines import CompiledPlans
from services.projection.counting.log_reader import Counting
from services.projection.counting.pacing import ReplayPace
from services.projection.counting.rebuild import rebuild
from services.projection.counting.store import Ledger
from services.projection.counting.turns import Stretch, count_in_turn
from shared.kafka.clients import Broker
from shared.plan.loading import load_plan, load_plans
from tests.conftest import ROOT, NewDatabase, NewTopics
from tests.harness.fork_server import Ended, fork_server
from tests.harness.generated_logs import GeneratedLog, encode
from tests.harness.generated_plans import DISTRICTS, GeneratedFact
from tests.harness.oracle import due, recount
from tests.harness.ports import any_free
from tests.harness.processes import Process, System, eventually, run
from tests.harness.proxy import between as network_between
from tests.harness.reports import person_hired
from tests.harness.topics import OutgoingMessage, publish, whole

SHAOXING = ROOT / "plans" / "shaoxing-2023-2025.yaml"
LAKESIDE = ROOT / "tests" / "harness" / "plans" / "lakeside-2024-2026.yaml"
PLAN = "shaoxing-2023-2025"
LATEST = datetime(2100, 1, 1, tzinfo=UTC)


class Projection:
    """The projection's processes on fresh topics of facts, with a database of their own."""

    def __init__(self, system: System, folder: Path) -> None:
        self.system = system
        self.plans = folder / "plans"
        self.plans.mkdir()
        for file in (SHAOXING, LAKESIDE):
            shutil.copy(file, self.plans)
        self._api: Process | None = None

    def projector(self) -> Process:
        return self.system.process("projection", "projector", SKILLPLAN_PLANS=str(self.plans))

    @property
    def api(self) -> Process:
        if self._api is None:
            self._api = self.system.process("projection", "api", SKILLPLAN_PLANS=str(self.plans)).start()
        return self._api

    def publish(self, *facts: GeneratedFact) -> None:
        publish(self.system.kafka, [message(fact) for fact in facts])

    def get(self, path: str, **query: object) -> Any:
        answer = self.api.http.get(path, params={name: str(value) for name, value in query.items()})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def progress(self, plan: str = PLAN, **query: object) -> dict[tuple[str, str], dict[str, Any]]:
        """Return each period's answer by indicator and period."""
        answer = self.get(f"/v1/plans/{plan}/progress", **query)
        return {
            (entry["id"], period["period"]): period for entry in answer["indicators"] for period in entry["periods"]
        }

    def positions(self) -> dict[str, int]:
        answer = self.get(f"/v1/plans/{PLAN}/progress")
        return {service: checkpoint["position"] for service, checkpoint in answer["complete_to"].items()}

    def wait_for(self, **positions: int) -> None:
        eventually(lambda: all(self.positions()[service] == at for service, at in positions.items()), 60)

    def command(self, name: str, **settings: str) -> Ended:
        """Run one of the projection's commands to its end."""
        process = self.system.process("projection", name, SKILLPLAN_PLANS=str(self.plans), **settings)
        return fork_server().run("services.projection", [name], process.settings)

    def assert_recount_equal(self) -> None:
        done = self.command("recount")
        assert done.returncode == 0, done.output
        assert f"{PLAN}: 一致 equal" in done.output


_SAME = (  # what two generations have in common
    """select line, part, period, district, counted_on, effective_on, recorded_at, service, position, sum(delta)
    from {}contribution group by 1, 2, 3, 4, 5, 6, 7, 8, 9 having sum(delta) <> 0 order by 1, 2, 3, 4, 5, 6, 7, 8, 9""",
    "select * from {}cell where value <> 0 order by 1, 2, 3, 4, 5",
    "select * from {}monthly where 0 <> any(amounts) order by 1, 2, 3, 4",
    """select line, use, service, position, event_id, subject, member, on_day, stop, district, amount, recorded_at,
    root, retracted, suspended, coalesce(changes, '{{}}') as changes, coalesce(replaced_by, '{{}}') as replaced_by
    from {}standing order by service, position, line, use""",
    "select service, position from {}checkpoint order by 1",
)
_OWN = ("date", "x-request-id")  # headers that are each response's own


def message(fact: GeneratedFact) -> OutgoingMessage:
    service = fact["source"].removeprefix("/services/")
    return OutgoingMessage(f"{service}.events", fact["subject"].encode(), encode(fact))


@pytest.fixture
def projection(
    kafka: str, postgres: str, database: NewDatabase, topics: NewTopics, tmp_path: Path
) -> Iterator[Projection]:
    districts = {place.code for file in (SHAOXING, LAKESIDE) for place in load_plan(file).districts}
    topics(*map(deploy_topics.events, DOMAIN_SERVICES), *map(deploy_topics.receipts, sorted(districts)))
    system = System(kafka, tmp_path, database, postgres)
    try:
        yield Projection(system, tmp_path)
    finally:
        system.close()


def hire(position: int, *, person: int | None = None, on: str = "2024-05-01", **attributes: Any) -> GeneratedFact:
    """Return the fact of a hire through the gold-blue-collar channel."""
    at = datetime(2026, 1, 1, tzinfo=UTC).timestamp() + position / 1000
    return {
        "specversion": "1.0",
        "id": f"00000000-0000-7000-8000-{position:012d}",
        "source": "/services/recruitment",
        "type": "skillplan.recruitment.person-hired.v1",
        "subject": f"hire/{position}",
        "time": "2024-05-02T10:00:00+08:00",
        "district": DISTRICTS[position % 3],
        "position": position,
        "version": 1,
        "recordedat": datetime.fromtimestamp(at, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "reportsource": f"/districts/{DISTRICTS[position % 3]}/tests",
        "reportid": f"h{position}",
        "data": {
            "person": {"token": f"{person or position:032x}", "sealed": "x"},
            "channel": "gold-blue-collar",
            "hired_on": on,
        },
    } | attributes


def hires(first: int, last: int) -> list[GeneratedFact]:
    return [hire(position) for position in range(first, last + 1)]


def repeated(rnd: Random, facts: list[GeneratedFact]) -> list[GeneratedFact]:
    """Return them as a relay may send them that was killed between sending and noting it."""
    sent: list[GeneratedFact] = []
    for number, fact in enumerate(facts):
        sent.append(fact)
        if rnd.random() < 0.05:
            sent += facts[max(0, number - 3) : number + 1]
    return sent


@pytest.mark.parametrize(("seed", "size"), [(1, 150), (2, 60)])
def test_every_number_equals_the_plain_recount(
    projection: Projection, seed: int, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rnd = Random(seed)  # noqa: S311
    world = GeneratedLog(rnd)
    while len(world.facts) < size:
        world.step()
    projector = projection.projector().start()
    logs = {source: list(facts) for source, facts in groupby(sorted(world.facts, key=_place), lambda f: f["source"])}
    for facts in logs.values():
        projection.publish(*repeated(rnd, facts))
    projection.wait_for(**{source.removeprefix("/services/"): len(facts) for source, facts in logs.items()})
    instants = [LATEST, datetime.fromisoformat(rnd.choice(world.facts)["recordedat"])]
    for file in (SHAOXING, LAKESIDE):
        plan = load_plan(file)
        for as_of in rnd.sample(world.days, 2):
            for known_at in instants:
                for district in (None, *(place.code for place in plan.districts if place.code in DISTRICTS)):
                    query = {"as_of": as_of.isoformat(), "known_at": known_at.isoformat()}
                    progress = projection.progress(plan.id, **query, **({"district": district} if district else {}))
                    for (id_, period), entry in progress.items():
                        expected = recount(
                            plan, plan.indicators[id_][1], world.facts, district=district, period=period, as_of=as_of,
                            known_at=known_at,
                        )  # fmt: skip
                        assert (entry["numerator"], entry["denominator"]) == expected, (id_, period, district, query)
                        owed = due(plan, plan.indicators[id_][1], district, period, as_of)
                        assert entry["expected"] == (None if owed is None else float(owed)), (id_, period, query)
    assert_facts_add_up(projection, rnd.choice(world.days))
    assert projector.problems() == {}
    projection.assert_recount_equal()
    if seed > 1:
        return
    before = projection.progress()
    rebuilt = projection.command("rebuild")
    assert rebuilt.returncode == 0, rebuilt.output
    assert re.search(r"replayed ([\d,]+) / \1 ", rebuilt.output)
    assert projection.progress() == before
    projection.assert_recount_equal()
    for name, value in projector.settings.items():
        monkeypatch.setenv(name, value)
    for limit in ("_SPREAD_FROM", "_SPREAD_LATER_FROM"):
        monkeypatch.setattr(rebuilding, limit, 1)
    monkeypatch.setattr(rebuilding, "FAST", ReplayPace(7, 3, Ledger))
    run(_count_by_several(projection))
    projection.assert_recount_equal()


async def _count_by_several(projection: Projection) -> None:
    """Count all again by several processes; the ledger is the same as that of one."""
    compiled = CompiledPlans(load_plans(projection.plans))
    broker = Broker(projection.system.kafka)
    async with writers.connected(projection.system.databases["projection"].dsn, "test") as connection:
        alone = await generations.current(connection)
        assert alone is not None
        of_one = [await connection.fetch(sql.format(f"numbers.g{alone.number}_")) for sql in _SAME]
        with capture_logs() as logged:
            number = await rebuild(connection, broker, compiled, Counting(), lambda *_: None)
        assert logged == [], "no process failed"
        of_several = [await connection.fetch(sql.format(f"numbers.g{number}_")) for sql in _SAME]
        assert all(of_one)
        assert of_several == of_one
        lost = await count_in_turn(number + 1, [Stretch("recruitment", 0, 9)], 2, lambda *_: None)
        assert lost is None, "there are no tables of it"


def _place(fact: GeneratedFact) -> tuple[str, int]:
    return fact["source"], fact["position"]


def _by_pages(projection: Projection, path: str, limit: int, period: str, as_of: date, known_at: str) -> list[Any]:
    after: str | None = "0"
    facts: list[Any] = []
    while after is not None:
        page = projection.get(path, period=period, as_of=as_of, known_at=known_at, limit=limit, after=after)
        after, facts = page["next"], [*facts, *page["facts"]]
        assert len(page["facts"]) == limit or after is None
    return facts


def assert_facts_add_up(projection: Projection, as_of: date) -> None:
    """The facts behind a cell sum to it, and its months to the year (RULES E26)."""
    for (id_, period), entry in projection.progress(as_of=as_of).items():
        path = f"/v1/plans/{PLAN}/indicators/{id_}/facts"
        page = projection.get(path, period=period, as_of=as_of)
        assert (page["numerator"], page["denominator"]) == (entry["numerator"], entry["denominator"]), (id_, period)
        assert sum(fact["numerator"] for fact in page["facts"]) == entry["numerator"]
        places = [(fact["service"], fact["position"]) for fact in page["facts"]]
        assert len(set(places)) == len(places)
        assert _by_pages(projection, path, 1 + len(places) // 3, period, as_of, page["known_at"]) == page["facts"]
        if id_ in ("4.1.b", "3.3.a") and period == "2024":
            months = [projection.get(path, period=period, as_of=as_of, month=f"2024-{m:02}") for m in range(1, 13)]
            assert sum(month["numerator"] for month in months) == entry["numerator"]


def test_kill_9_in_mid_batch_loses_nothing_and_counts_nothing_twice(projection: Projection) -> None:
    count = 12_000
    projector = projection.projector()
    with projector.watched() as ends:
        projector.start(wait=False)
        for first in range(1, count, 3000):
            projection.publish(*hires(first, first + 2999))
            # Somewhere in the middle of what it does with them.
            time.sleep(0.3 + Random(first).random())  # noqa: S311
            with contextlib.suppress(ProcessLookupError):
                assert projector.child is not None
                projector.child.send_signal(signal.SIGKILL)
        projection.wait_for(recruitment=count)
    assert ends.count(-signal.SIGKILL) >= 3
    progress = projection.progress(as_of="2024-12-31")["4.1.b", "2024"]
    assert progress["value"] == count
    projection.assert_recount_equal()


def test_one_projector_writes_and_another_takes_over(projection: Projection) -> None:
    first, second = projection.projector().start(), projection.projector().start()
    active = re.compile(r"^skillplan_projection_active 1.0$", re.MULTILINE)

    def writers() -> list[Process]:
        return [
            process for process in (first, second) if process.alive and active.search(process.http.get("/metrics").text)
        ]

    eventually(lambda: len(writers()) == 1)
    projection.publish(*hires(1, 50))
    projection.wait_for(recruitment=50)
    writers()[0].kill()
    projection.publish(*hires(51, 100))
    projection.wait_for(recruitment=100)
    assert len(writers()) == 1
    assert projection.progress(as_of="2024-12-31")["4.1.b", "2024"]["value"] == 100
    projection.assert_recount_equal()


def test_a_hole_stops_its_line_until_the_missing_fact_comes(projection: Projection) -> None:
    projector = projection.projector().start()
    first, two, three, four, five = hires(1, 5)
    projection.publish(first, two, four)
    problem = eventually(lambda: projector.problems().get("lines", ""))
    assert "recruitment.events" in problem
    assert "position 3 is missing" in problem
    projection.publish(five)
    competition = {
        **hire(1), "source": "/services/competition", "type": "skillplan.competition.competition-held.v1",
        "subject": "competition/1", "data": {"held_on": "2024-05-01"},
    }  # fmt: skip
    projection.publish(competition)
    projection.wait_for(competition=1)  # other lines go on
    assert projection.positions()["recruitment"] == 2
    projector.kill()
    projector = projection.projector().start(wait=False)
    eventually(lambda: "position 3 is missing" in projector.problems().get("lines", ""))
    # A relay that was set back sends everything from there again.
    projection.publish(three, four, five)
    projection.wait_for(recruitment=5)
    eventually(lambda: projector.problems() == {})
    assert projection.progress(as_of="2024-12-31")["4.1.b", "2024"]["value"] == 5


def test_what_is_no_fact_is_passed_over_and_a_fact_that_cannot_be_counted_stops_its_line(
    projection: Projection,
) -> None:
    projector = projection.projector().start()
    junk = [
        OutgoingMessage("recruitment.events", b"x", value) for value in (b"", None, b"{", b"[]", b'{"position": 2}')
    ]
    publish(projection.system.kafka, [message(hire(1)), *junk, message(hire(2))])
    projection.wait_for(recruitment=2)
    assert projector.problems() == {}
    broken = hire(3)
    broken["data"] = {**broken["data"], "hired_on": "gestern"}
    projection.publish(broken, hire(4))
    problem = eventually(lambda: projector.problems().get("lines", ""))
    assert "position 3 cannot be counted" in problem
    assert "gestern" not in problem + projector.text()
    assert projection.positions()["recruitment"] == 2
    assert projector.alive


def test_another_plan_is_counted_anew_and_new_names_are_not(projection: Projection) -> None:
    projector = projection.projector().start()
    projection.publish(*hires(1, 30))
    projection.wait_for(recruitment=30)
    projector.kill(signal.SIGTERM)
    plan = projection.plans / SHAOXING.name
    text = plan.read_text(encoding="utf-8")
    plan.write_text(text.replace("Skilled people delivered", "People brought in"), encoding="utf-8")
    projector = projection.projector().start()

    def named() -> str:
        answer = projection.get(f"/v1/plans/{PLAN}/progress", as_of="2024-12-31")
        return str(next(entry["name"]["en"] for entry in answer["indicators"] if entry["id"] == "4.1.b"))

    eventually(lambda: named() == "People brought in")
    assert _generation(projection) == 1
    projector.kill(signal.SIGTERM)
    # Nothing goes where the same facts count by another rule.
    wider = text.replace("where: {channel: gold-blue-collar}", "where: {channel: [gold-blue-collar, other]}")
    plan.write_text(wider, encoding="utf-8")
    projection.projector().start().kill(signal.SIGTERM)
    assert (_generation(projection), projection.get("/v1/plans")["withheld"]) == (2, None)


def test_a_change_of_plans_that_takes_facts_out_says_how_many_and_waits_until_it_is_accepted(
    projection: Projection,
) -> None:
    """Issue 14.6: 30 hires of three districts; by the plan as it is now none of them counts."""
    projector = projection.projector().start()
    projection.publish(*hires(1, 30), hire(31, person=7))
    projection.wait_for(recruitment=31)
    projector.kill(signal.SIGTERM)
    plan = projection.plans / SHAOXING.name
    text = plan.read_text(encoding="utf-8")
    other = text.replace("where: {channel: gold-blue-collar}", "where: {channel: school-enterprise}")
    plan.write_text(other, encoding="utf-8")

    def value() -> int:
        return int(projection.progress(as_of="2024-12-31")["4.1.b", "2024"]["value"])

    def warning_of(process: Process) -> str:
        return str(process.http.get("/readyz").json().get("warnings", {}).get("plans", ""))

    for starts in range(2):  # a start after the first asks again and counts nothing
        projector = projection.projector().start()
        warning = eventually(partial(warning_of, projector))
        assert "已计入的 30 件事实不再计入" in warning
        assert f"{PLAN} 4.1.b 330600: 10" in warning
        assert _generation(projection) == 1
        if starts:
            projection.publish(hire(32))  # goes on by the plan before
            projection.wait_for(recruitment=32)
        projector.kill(signal.SIGTERM)
    change = projection.get("/v1/plans")["withheld"]
    cells = [{"plan": PLAN, "indicator": "4.1.b", "district": code, "facts": 10} for code in sorted(DISTRICTS[:3])]
    assert (change["facts"], change["missing"], value()) == (30, cells, 31)
    assert f"ACCEPT={change['code']}" in warning
    # Taken back, nothing is asked any longer.
    plan.write_text(text, encoding="utf-8")
    projector = projection.projector().start()
    eventually(lambda: projection.get("/v1/plans")["withheld"] is None)
    assert warning_of(projector) == ""
    plan.write_text(other, encoding="utf-8")
    refused = projection.command("rebuild")
    code = projection.get("/v1/plans")["withheld"]["code"]
    assert refused.returncode == 1
    assert f"make rebuild ACCEPT={code}" in refused.output
    assert "31 facts" in refused.output
    assert projection.command("rebuild", SKILLPLAN_ACCEPT="0" * 12).returncode == 1
    assert value() == 31
    accepted = projection.command("rebuild", SKILLPLAN_ACCEPT=code)
    assert accepted.returncode == 0, accepted.output
    assert (value(), projection.get("/v1/plans")["withheld"]) == (0, None)
    projection.assert_recount_equal()
    tables = projection.system.query("projection", "select tablename from pg_tables where schemaname = 'numbers'")
    assert len({row["tablename"].partition("_")[0] for row in tables}) == 1


def test_a_rebuild_stands_beside_and_says_what_differs_until_it_is_accepted_or_let_go(
    projection: Projection, tmp_path: Path
) -> None:
    """Issue 19.5: by the plan as it is now the hires of another channel count, and those of before no longer."""
    projector = projection.projector().start()
    projection.publish(*hires(1, 30))
    projection.wait_for(recruitment=30)
    plan = projection.plans / SHAOXING.name
    text = plan.read_text(encoding="utf-8")
    other = text.replace("where: {channel: gold-blue-collar}", "where: {channel: school-enterprise}")
    plan.write_text(other, encoding="utf-8")
    lakeside = projection.plans / LAKESIDE.name
    lakeside.write_text(lakeside.read_text(encoding="utf-8").replace("weight: 1", "weight: 2"), encoding="utf-8")

    def value() -> int:
        return int(projection.progress(as_of="2024-12-31")["4.1.b", "2024"]["value"])

    def beside() -> dict[str, Any]:
        folder = tmp_path / "report"
        done = projection.command("beside", SKILLPLAN_REPORT=str(folder), SKILLPLAN_ONLY=PLAN)
        assert done.returncode == 0, done.output
        difference: dict[str, Any] = json.loads((folder / "difference.json").read_text(encoding="utf-8"))
        page = (folder / "difference.html").read_text(encoding="utf-8")
        assert f"make rebuild ACCEPT={difference['code']}" in page
        assert f"ACCEPT={difference['code']}" in done.output
        assert projection.get("/v1/difference") == {"difference": difference}
        return difference

    ends = topic_ends(projection)
    difference = beside()
    cells = [(it["plan"], it["indicator"], it["period"], it["before"], it["after"]) for it in difference["cells"]]
    assert difference["facts"] == 30
    assert cells == [(PLAN, "4.1.b", 2024, 10, 0)] * 3
    assert {it["facts"] for it in difference["cells"]} == {10}
    named = {(fact["service"], fact["position"]) for it in difference["cells"] for fact in it["because"]}
    assert named == {("recruitment", position) for position in range(1, 31)}
    assert (value(), _generation(projection)) == (30, 1)
    # The projector goes on, started anew, too: it decides nothing by itself while somebody is asked.
    projector.kill(signal.SIGTERM)
    projector = projection.projector().start()
    projection.publish(hire(31, person=77))
    projection.wait_for(recruitment=31)
    assert (value(), _generation(projection)) == (31, 1)
    assert "plans" not in projector.http.get("/readyz").json().get("warnings", {})
    assert projection.command("back").returncode == 0
    tables = projection.system.query("projection", "select tablename from pg_tables where schemaname = 'numbers'")
    assert len({row["tablename"].partition("_")[0] for row in tables}) == 1
    again = beside()
    assert again["facts"] == 31
    assert projection.command("rebuild", SKILLPLAN_ACCEPT="0" * 12).returncode == 1, "it asks, as without one beside"
    difference = beside()
    projection.publish(hire(32, person=78))
    projection.wait_for(recruitment=32)
    assert projection.command("rebuild", SKILLPLAN_ACCEPT=difference["code"]).returncode == 0
    now = (value(), _generation(projection), projection.get("/v1/difference")["difference"])
    assert now == (0, difference["beside"], None)
    assert topic_ends(projection) == {name: end + 2 * (name == "recruitment.events") for name, end in ends.items()}
    projection.wait_for(recruitment=32)
    projection.assert_recount_equal()


def topic_ends(projection: Projection) -> dict[str, int]:
    topics = [f"{service}.events" for service in DOMAIN_SERVICES]
    return {topic: len(whole(projection.system.kafka, topic)) for topic in topics}


def _generation(projection: Projection) -> int:
    number: int = projection.system.query("projection", "select generation from head")[0]["generation"]
    return number


def test_a_rebuild_beside_a_projector_that_goes_on(projection: Projection) -> None:
    projection.projector().start()
    projection.publish(*hires(1, 2000))
    projection.wait_for(recruitment=2000)
    rebuilding = projection.system.process("projection", "rebuild", SKILLPLAN_PLANS=str(projection.plans))
    rebuilding.start(wait=False)
    for first in range(2001, 4000, 200):
        projection.publish(*hires(first, first + 199))
    assert rebuilding.child is not None
    assert rebuilding.child.wait(90) == 0, rebuilding.text()
    projection.publish(*hires(4001, 4100))
    projection.wait_for(recruitment=4100)
    assert projection.progress(as_of="2024-12-31")["4.1.b", "2024"]["value"] == 4100
    assert _generation(projection) == 2
    projection.assert_recount_equal()


def test_a_rebuild_that_finds_less_than_was_counted_changes_nothing(projection: Projection, topics: NewTopics) -> None:
    projector = projection.projector().start()
    projection.publish(*hires(1, 10))
    projection.wait_for(recruitment=10)
    projector.kill(signal.SIGTERM)
    topics(deploy_topics.events("recruitment"))
    projection.publish(*hires(1, 4))
    done = projection.command("rebuild")
    assert done.returncode != 0
    assert "recruitment.events: 4 < 10" in done.output
    assert projection.progress(as_of="2024-12-31")["4.1.b", "2024"]["value"] == 10


def test_a_cut_connection_is_made_again(projection: Projection) -> None:
    projector = projection.projector().start()
    projection.publish(*hires(1, 10))
    projection.wait_for(recruitment=10)
    for _ in range(2):
        backends = projection.system.query(
            "projection", "select pid from pg_stat_activity where application_name = 'skillplan projection projector'"
        )
        projection.system.cut_off([row["pid"] for row in backends])
    projection.publish(*hires(11, 20))
    projection.wait_for(recruitment=20)
    assert projector.alive
    projection.assert_recount_equal()


def test_a_database_that_hangs_is_told_within_five_seconds_and_silences_the_stream(projection: Projection) -> None:
    """The page's green light is the age of the last answer that came from the database."""
    projection.projector().start()
    projection.publish(*hires(1, 3))
    place, (port,) = urlsplit(projection.system.databases["projection"].dsn), any_free(1)
    with network_between(str(place.hostname), int(place.port or 0), port) as network:
        through = place.geturl().replace(f":{place.port}/", f":{port}/")
        plans = str(projection.plans)
        api = projection.system.process("projection", "api", SKILLPLAN_PLANS=plans, SKILLPLAN_PG_DSN=through).start()
        path = f"/v1/plans/{PLAN}/progress"
        eventually(lambda: api.http.get(path).status_code == 200)
        with api.http.stream("GET", f"/v1/plans/{PLAN}/stream", timeout=30) as stream:
            lines = stream.iter_lines()
            assert any(line.startswith("data:") for line in lines)
            network.silent = True
            began = time.monotonic()
            answer = api.http.get(path, params={"as_of": "2024-06-30"}, timeout=20)
            assert answer.status_code == 503
            assert time.monotonic() - began < 5
            last = began
            for line in lines:  # what was on its way, then only what keeps the connection open, every 15 seconds
                last = time.monotonic() if line.startswith("data:") else last
                if time.monotonic() - began > 10:
                    break
            assert last - began < 3, "the page waits seven seconds more before it says so: ten in all"
        network.silent = False
        eventually(lambda: api.http.get(path).status_code == 200)


@pytest.mark.parametrize(
    "change",
    [
        "cell set value = value + 1",
        "monthly set amounts[5] = amounts[5] + 1",
        "standing set on_day = on_day + 1",  # cells and ledger agree, and what they stand on does not
    ],
)
def test_recount_names_the_first_difference(projection: Projection, change: str) -> None:
    projection.projector().start()
    projection.publish(*hires(1, 10))
    projection.wait_for(recruitment=10)
    system = projection.system
    # Only the service's role owns the tables of a generation.
    owner = system.databases["projection"]
    system.databases["as-role"] = type(owner)("projection", owner.name, owner.dsn, owner.dsn)
    row = system.query("as-role", "select line, district from numbers.g1_cell order by line desc, district limit 1")[0]
    system.query("as-role", f"update numbers.g1_{change} where line = $1 and district = $2", *row)
    done = projection.command("recount")
    assert done.returncode == 1
    assert re.search(rf"{PLAN}: 不一致 differs: 4.1.b .*: 记录 kept \d+, 重算 recounted \d+", done.output)


def test_what_is_kept_is_sent_compressed_to_who_takes_it_so(projection: Projection) -> None:
    projection.projector().start()
    projection.publish(*hires(1, 10))
    projection.wait_for(recruitment=10)
    known_at = "2100-01-01T00:00:00Z"
    for query in ("", f"?known_at={known_at}"):
        plain, zipped = (
            projection.api.http.get(f"/v1/plans/{PLAN}/progress{query}", headers={"accept-encoding": encoding})
            for encoding in ("identity", "gzip")
        )
        assert ("content-encoding" in plain.headers, zipped.headers["content-encoding"]) == (False, "gzip")
        assert plain.headers["etag"] == zipped.headers["etag"]
        assert int(zipped.headers["content-length"]) < len(plain.content) / 4
        without = [{**response.json(), "known_at": None} for response in (plain, zipped)]
        assert without[0] == without[1]
        assert zipped.json()["known_at"] >= plain.json()["known_at"]
        again = projection.api.http.get(f"/v1/plans/{PLAN}/progress{query}", headers={"accept-encoding": "br, gzip"})
        assert again.headers["content-encoding"] == "gzip"
        assert {**again.json(), "known_at": None} == without[0]
        assert again.json()["known_at"] >= zipped.json()["known_at"]


def test_wrong_questions_get_a_problem_in_both_languages(projection: Projection) -> None:
    waiting = projection.system.process("projection", "api", SKILLPLAN_PLANS=str(projection.plans)).start(wait=False)
    response = eventually(lambda: waiting.http.get(f"/v1/plans/{PLAN}/progress"))
    assert response.status_code == 503
    assert "projector" in response.json()["zh"]
    projection.projector().start()
    ask: Callable[..., Any] = projection.api.http.get
    wrong = {
        "/v1/plans/nowhere/progress": 404,
        f"/v1/plans/{PLAN}/progress?district=110101": 422,
        f"/v1/plans/{PLAN}/progress?as_of=2024-13-01": 422,
        f"/v1/plans/{PLAN}/progress?known_at=yesterday": 422,
        f"/v1/plans/{PLAN}/progress?asof=2024-12-31": 422,  # would be answered for today
        f"/v1/plans/{PLAN}/progress?as_of=2024-06-30&as_of=2024-06-29": 422,  # would be answered for one of them
        f"/v1/plans/{PLAN}/progress?known_at=2024-01-01": 422,
        f"/v1/plans/{PLAN}/indicators/9.9.z/facts": 404,
        f"/v1/plans/{PLAN}/indicators/4.1.b/facts?period=plan": 422,
        f"/v1/plans/{PLAN}/indicators/4.1.b/facts?period=2031": 422,
        f"/v1/plans/{PLAN}/indicators/4.1.b/facts?limit=1&after=17": 422,
        f"/v1/plans/{PLAN}/indicators/4.1.b/facts?limit=1&after=2024-02-30.1": 422,
        f"/v1/plans/{PLAN}/indicators/4.1.b/facts?month=2024-13": 422,
        f"/v1/plans/{PLAN}/indicators/1.4.a/facts?month=2024-12": 422,
        f"/v1/plans/{PLAN}/indicators/1.4.a/facts?period=2024": 422,
        f"/v1/plans/{PLAN}/indicators/9.9.z/months": 404,
        f"/v1/plans/{PLAN}/indicators/4.1.b/months?period=2031": 422,
        f"/v1/plans/{PLAN}/indicators/1.1.e/districts?period=2024": 422,
        f"/v1/plans/{PLAN}/indicators/4.1.b/districts?as_of=yesterday": 422,
        f"/v1/plans/{PLAN}/behind?district=000000": 422,
        f"/v1/plans/{PLAN}/outlook?known_at=now": 422,
        "/v1/plans/nowhere/measures": 404,
        "/v1/plans/%00/progress": 404,
    }
    for path, status in wrong.items():
        answer = ask(path)
        assert answer.status_code == status, (path, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["zh"] != answer.json()["en"]
    plans = projection.get("/v1/plans")["plans"]
    assert [plan["id"] for plan in plans] == ["lakeside-2024-2026", PLAN]
    progress_tables = tables(projection.api.http, "")  # at the end of `make up`, whatever the plans' files are called
    assert [str(table.title).split()[2] for table in progress_tables] == ["lakeside-2024-2026", PLAN]
    assert len(projection.get(f"/v1/plans/{PLAN}")["series"]) == 5
    progress = projection.get(f"/v1/plans/{PLAN}/progress", as_of="2024-02-29", known_at="2024-03-01T08:00:00+08:00")
    assert (progress["as_of"], progress["known_at"], progress["district"]) == (
        "2024-02-29",
        "2024-03-01T00:00:00.000000Z",
        None,
    )


def test_the_questions_of_a_plan_office_agree_with_the_progress(projection: Projection) -> None:
    """Months, districts, behind, outlook and measures of a random world say what the progress says: E17, E18, E26."""
    rnd = Random(20)  # noqa: S311
    world = GeneratedLog(rnd)
    while len(world.facts) < 150:
        world.step()
    projection.projector().start()
    projection.publish(*sorted(world.facts, key=_place))
    logs = groupby(sorted(world.facts, key=_place), lambda f: f["source"])
    projection.wait_for(**{source.removeprefix("/services/"): len(list(facts)) for source, facts in logs})
    middle = datetime.fromisoformat(rnd.choice(world.facts)["recordedat"])
    for as_of, known_at in ((date(2025, 3, 17), LATEST), (date(2024, 8, 31), middle)):
        parameters: dict[str, Any] = {"as_of": as_of, "known_at": known_at.isoformat()}
        whole = projection.progress(**parameters)
        for id_ in ("1.1.a", "1.1.e", "2.3.a", "4.1.b", "3.3.a", "2.2.a"):
            assert_months_agree(projection, id_, whole, parameters)
            assert_districts_agree(projection, id_, whole, parameters)
        running = {id_: entry for (id_, _), entry in whole.items()}  # the last period that has begun is listed last
        behind = projection.get(f"/v1/plans/{PLAN}/behind", **parameters)
        late = {id_ for id_, entry in running.items() if entry["signal"] in ("amber", "red")}
        assert {entry["id"] for entry in behind["behind"] if entry["district"] is None} == late
        ratios = [entry["value"] / entry["expected"] for entry in behind["behind"]]
        assert ratios == sorted(ratios)
        outlook = projection.get(f"/v1/plans/{PLAN}/outlook", **parameters)
        for entry in outlook["indicators"]:
            pace = running[entry["id"]]["pace"]
            assert entry["forecast"] == (pace or entry)["forecast"]
        measures = projection.get(f"/v1/plans/{PLAN}/measures", **parameters)
        signals = {
            at["id"]: at["signal"] for body in measures["bodies"] for m in body["measures"] for at in m["indicators"]
        }
        assert signals == {id_: entry["signal"] for id_, entry in running.items()}
        assert measures["bodies"][0]["worst"] == "red"


def assert_months_agree(
    projection: Projection, id_: str, whole: dict[tuple[str, str], dict[str, Any]], parameters: dict[str, Any]
) -> None:
    for period in [period for indicator, period in whole if indicator == id_]:
        path = f"/v1/plans/{PLAN}/indicators/{id_}"
        months = projection.get(f"{path}/months", period=period, **parameters)
        expected = whole[id_, period]
        assert {name: months[name] for name in expected} == expected
        assert months["months"][-1]["cumulative"] == expected["value"]
        if expected["expected"] is not None:
            assert months["months"][-1]["expected"] == expected["expected"]
            assert months["months"][-1]["signal_then"] == expected["signal"]
        if months["indicator"]["basis"] == "level":
            continue
        assert sum(month["numerator"] for month in months["months"]) == expected["numerator"]
        parts = [
            projection.get(f"{path}/months", period=period, district=d, **parameters)["months"] for d in DISTRICTS[:3]
        ]
        month = months["months"][len(months["months"]) // 2]
        facts = projection.get(f"{path}/facts", period=period, month=month["month"], **parameters)
        assert facts["numerator"] == month["numerator"], (id_, month)
        for at, entry in enumerate(months["months"]):
            assert sum(part[at]["numerator"] for part in parts) == entry["numerator"]


def assert_districts_agree(
    projection: Projection, id_: str, whole: dict[tuple[str, str], dict[str, Any]], parameters: dict[str, Any]
) -> None:
    answer = projection.get(f"/v1/plans/{PLAN}/indicators/{id_}/districts", **parameters)
    period = answer["whole"]["period"]
    assert sum(entry["numerator"] for entry in answer["districts"]) == whole[id_, period]["numerator"]
    ranked = [entry for entry in answer["districts"] if entry["rank"] is not None]
    assert [entry["rank"] for entry in ranked] == [
        1 + sum(o["value"] > entry["value"] for o in ranked) for entry in ranked
    ]
    assert [entry["code"] for entry in answer["districts"] if entry["city"]] == ["330600"]
    own = projection.progress(district=ranked[0]["code"], **parameters)[id_, period] if ranked else {}
    assert all(ranked[0][name] == value for name, value in own.items() if name != "pace")


def test_a_kept_answer_is_given_again_and_never_after_a_change(projection: Projection) -> None:
    """Issue 7: from cache, and correct within one batch of a change; E19: the instant is that of each answer."""
    projection.projector().start()
    projection.publish(*hires(1, 5))
    projection.wait_for(recruitment=5)
    path = f"/v1/plans/{PLAN}/progress"
    plain = {"accept-encoding": "identity"}
    responses = [projection.api.http.get(path, params={"as_of": "2024-12-31"}, headers=plain) for _ in range(3)]
    first, second, third = (response.json() for response in responses)
    assert first.pop("known_at") < second.pop("known_at") < third.pop("known_at")
    assert first == second == third
    # The first came through the app's routes, the others around them.
    names = [{name: value for name, value in each.headers.items() if name not in _OWN} for each in responses]
    assert names[0] == names[1] == names[2]
    query = {"as_of": "2024-12-31"}
    same = projection.api.http.get(path, params=query, headers={"if-none-match": responses[0].headers["etag"]})
    assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", responses[0].headers["etag"])
    assert projection.api.http.get(path, params={"as_of": "2024-12-30"}, headers=plain).json() != first
    assert projection.api.http.get(path, params={**query, "asof": "1"}).status_code == 422
    old = projection.get(path, as_of="2024-12-31", known_at="2025-01-01T00:00:00Z")
    assert old["known_at"] == "2025-01-01T00:00:00.000000Z"
    assert old["indicators"] != first["indicators"]
    for position in range(6, 26):
        projection.publish(hire(position))

        projection.wait_for(recruitment=position)
        answer = projection.get(path, as_of="2024-12-31")
        (hired,) = [entry for entry in answer["indicators"] if entry["id"] == "4.1.b"]
        assert hired["periods"][1]["value"] == position


def test_a_hire_reported_at_the_door_reaches_the_number(kafka: str, system: System) -> None:
    (recruitment, _) = system.start("recruitment", "api", "worker")
    projection = system.process("projection", "api", SKILLPLAN_SERVICES=f'{{"recruitment": "{recruitment.url}"}}')
    projector = system.process("projection", "projector")
    projector.start()
    projection.start()
    report = person_hired(1)
    answer = recruitment.http.post("/v1/events", json=report)
    assert answer.json()["status"] == "accepted", answer.text
    on = report["data"]["hired_on"]

    def complete() -> Any:
        progress = projection.http.get(f"/v1/plans/{PLAN}/progress", params={"as_of": on}).json()
        return (
            progress if progress["complete_to"]["recruitment"]["behind_events"] == 0 and progress["indicators"] else {}
        )

    eventually(lambda: complete() and complete()["complete_to"]["recruitment"]["position"] == 1)
    progress = complete()
    assert progress["complete_to"]["recruitment"]["behind_seconds"] == 0
    assert progress["complete_to"]["enrollment"]["behind_events"] is None
    of_year = next(entry for entry in progress["indicators"] if entry["id"] == "4.1.b")["periods"][-1]
    assert of_year["value"] == 1

    def reported_by() -> list[Any]:
        facts = projection.http.get(f"/v1/plans/{PLAN}/indicators/4.1.b/facts", params={"as_of": on}).json()["facts"]
        return [fact["reportedby"] for fact in facts]

    assert reported_by() == ["open"]  # RULES G5
    system.query("projection", "alter table numbers.g1_standing drop column reported_by", as_role=True)
    assert reported_by() == [None], "a generation from before there was one is read until another one is counted"
