"""Years that are over, stored away on other disks beside live work: everything is answered as before."""

from __future__ import annotations

import json
import re
import secrets
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

import asyncpg
import pytest

from deploy.kafka import topics as deploy_topics
from deploy.local.databases import Passwords
from deploy.local.installation import Installation
from deploy.operations import backup, erasure
from deploy.operations.erasable import Manifest
from deploy.operations.reconcile import Places, compare
from shared.contract.events import LOCAL_TIME
from shared.kafka.clients import Broker
from shared.log.store_away import bring_back, store_away
from shared.observability.health import ConfigurationError
from tests.conftest import ROOT
from tests.harness.broker import delete_topics
from tests.harness.databases import drop
from tests.harness.fork_server import fork_server
from tests.harness.plan_office import PLAN
from tests.harness.processes import Process, System, _fetch, eventually, run
from tests.harness.reports import hire_ended, person_hired
from tests.harness.topics import settle, whole

pytestmark = pytest.mark.waits

SERVICE: Final = "recruitment"
BATCH: Final = {"content-type": "application/cloudevents-batch+json"}
THIS_YEAR: Final = datetime.now(LOCAL_TIME).year
OLDEST, OLDER, OLD = (THIS_YEAR - back for back in (4, 3, 2))
EACH: Final = 10  # facts a year
_ACT: Final = """
import asyncio, sys
from shared.log import store_away
store_away._PORTION = 3
asyncio.run(store_away.store_away(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]))
"""


@pytest.fixture(name="tablespace")
def tablespace_fixture(postgres: str) -> Iterator[str]:
    """A tablespace that the owner of the log may use, and that outlives its database."""
    name = f"cheap_{secrets.token_hex(4)}"

    async def make() -> None:
        connection = await asyncpg.connect(postgres)
        try:
            await connection.execute("set allow_in_place_tablespaces = on")
            await connection.execute(f"create tablespace {name} location ''")
        finally:
            await connection.close()

    run(make())
    yield name
    run(_fetch(postgres, f"drop tablespace {name}"))


def record_years(system: System) -> None:
    """Record hires as of three years: the log's clock is set back in what no one has read yet."""
    (api,) = system.start(SERVICE, "api")
    hires = [person_hired(f"y-{n}") for n in range(3 * EACH)]
    answer = api.http.post("/v1/events", json=hires, headers=BATCH).json()
    assert {receipt["status"] for receipt in answer["results"]} == {"accepted"}
    for row in system.query(SERVICE, "select position, bytes from fact"):
        year = (OLDEST, OLDER, OLD)[(row["position"] - 1) // EACH]
        at = f"{year}-06-01T00:00:{row['position']:02}.000000Z"
        older, count = re.subn(rb'"recordedat":"[^"]+"', f'"recordedat":"{at}"'.encode(), row["bytes"])
        assert count == 1
        system.query(
            SERVICE,
            "update fact set bytes = $2, sha256 = sha256($2), recorded_at = $3 where position = $1",
            row["position"],
            older,
            datetime.fromisoformat(at),
        )


def ask_all(system: System, projection: Process) -> dict[str, Any]:
    """Ask what rests on facts of closed years, in every way that there is."""
    api = system.the(SERVICE, "api").http
    first = json.loads(system.query(SERVICE, "select bytes from recorded_fact where position = 1")[0]["bytes"])
    sealed = erasure._SQL["sealed"]
    token = first["data"]["person"]["token"].encode()
    progress = {
        instant: projection.http.get(
            f"/v1/plans/{PLAN.id}/progress", params={"known_at": instant, "as_of": "2025-06-30"}
        ).json()
        for instant in (f"{OLDEST}-06-01T00:00:05Z", f"{OLDEST}-12-31T00:00:00Z", f"{OLDER}-12-31T00:00:00Z")
    }
    return {
        "log": api.get("/v1/log", params={"format": "ndjson"}).content.splitlines()[: 3 * EACH],
        "tile": api.get("/v1/log/tile/entries/000.p/20").content,
        "inclusion": api.get("/v1/log/checkpoint").text.splitlines()[0],
        "person": [(row["kind"], row["bytes"]) for row in system.query(SERVICE, sealed, token)],
        "progress": {at: [each.get("periods") for each in body["indicators"]] for at, body in progress.items()},
    }


def differences(system: System) -> list[Any]:
    places = Places({name: database.dsn for name, database in system.databases.items()}, Broker(system.kafka))
    return [difference for result in run(compare(places)) for difference in result.differences.values()]


def places_of_bytes(system: System) -> dict[int, tuple[bool, bool]]:
    """Return of each position whether its bytes are in the log's own table, and whether they are stored away."""
    rows = system.query(
        SERVICE,
        "select position, f.bytes is not null as here, s.bytes is not null as away"
        " from fact f full join stored_away s using (position)",
    )
    return {row["position"]: (row["here"], row["away"]) for row in rows}


def projection_command(projection: Process, command: str) -> str:
    done = fork_server().run("services.projection", [command], projection.settings)
    assert done.returncode == 0, done.output
    return done.output


def refusal(system: System, year: int, tablespace: str = "") -> str:
    with pytest.raises(ConfigurationError) as refused:
        run(store_away(SERVICE, system.databases[SERVICE].owner_dsn, year, tablespace))
    return str(refused.value)


def test_years_that_are_over_are_stored_away_and_still_answered(tablespace: str, system: System) -> None:
    record_years(system)
    owner = system.databases[SERVICE].owner_dsn
    assert "is not over" in refusal(system, THIS_YEAR)
    assert "not on the topic yet" in refusal(system, OLDEST)
    (worker,) = system.start(SERVICE, "worker")
    system.start("projection", "projector")
    (projection,) = system.start("projection", "api")
    settle(system, SERVICE)
    api = system.the(SERVICE, "api").http
    eventually(lambda: int(api.get("/v1/log/checkpoint").text.splitlines()[1]) == 3 * EACH)
    eventually(lambda: not differences(system))
    before = ask_all(system, projection)
    assert len(before["person"]) == 1
    assert len({json.dumps(answer, sort_keys=True) for answer in before["progress"].values()}) == 3

    _check_refused(system, tablespace)
    _store_two_years(system, projection, tablespace, before)
    _check_decisions(system)
    eventually(lambda: not differences(system))
    assert ask_all(system, projection) == before, "what was known then"
    assert "equal" in projection_command(projection, "recount")
    log = _check_lost_topic(system, worker)
    _rebuild_elsewhere(system, projection, tablespace)
    assert ask_all(system, projection) == before
    assert "equal" in projection_command(projection, "recount")

    _check_backup(system, tablespace, log)
    _check_harm_is_found(system)
    assert run(bring_back(SERVICE, owner, OLDEST)) == EACH
    assert run(bring_back(SERVICE, owner, OLDEST)) == 0
    assert {at for at, place in places_of_bytes(system).items() if place == (False, True)} == set(
        range(EACH + 1, 2 * EACH + 1)
    )
    assert ask_all(system, projection) == before
    assert not differences(system)


def _check_refused(system: System, tablespace: str) -> None:
    assert "no such tablespace" in refusal(system, OLDEST, "nowhere")
    assert "grant create on tablespace" in refusal(system, OLDEST, tablespace)
    run(_fetch(system.superuser, f'grant create on tablespace {tablespace} to "{SERVICE}_owner"'))
    ((name, digest),) = system.query(SERVICE, "delete from migration where name ~ '^009' returning name, sha256")
    assert "lacks these migrations" in refusal(system, OLDEST, tablespace)
    system.query(SERVICE, "insert into migration (name, sha256) values ($1, $2)", name, digest)
    with system.holding(SERVICE, "select pg_advisory_lock(hashtext('skillplan.store-away'))"):
        assert "already" in refusal(system, OLDEST, tablespace)
    assert set(places_of_bytes(system).values()) == {(True, False)}


def _store_two_years(system: System, projection: Process, tablespace: str, before: dict[str, Any]) -> None:
    """Store two years away: the first is killed in the middle of its third portion, and run again."""
    owner = system.databases[SERVICE].owner_dsn
    with system.holding(SERVICE, "select from fact where position = 8 for update"):
        act = subprocess.Popen([sys.executable, "-c", _ACT, SERVICE, owner, str(OLDEST), tablespace], cwd=ROOT)
        blocked = eventually(lambda: system.blocked(SERVICE))
        act.kill()
        act.wait(30)
        system.cut_off(blocked)
    halfway = places_of_bytes(system)
    assert [halfway[position] for position in range(1, 10)] == [(False, True)] * 6 + [(True, False)] * 3
    assert ask_all(system, projection) == before
    assert run(store_away(SERVICE, owner, OLDEST, tablespace)) == EACH - 6
    assert run(store_away(SERVICE, owner, OLDEST, "")) == 0, "it is there already"
    assert "in another place" in refusal(system, OLDEST, "pg_default")
    assert run(store_away(SERVICE, owner, OLDER, tablespace)) == EACH
    assert run(store_away(SERVICE, owner, OLDEST - 1, tablespace)) == 0, "nothing was recorded then"
    stored = dict.fromkeys(range(1, 2 * EACH + 1), (False, True))
    assert places_of_bytes(system) == stored | dict.fromkeys(range(2 * EACH + 1, 3 * EACH + 1), (True, False))
    lying = "select count(*) from pg_class join pg_tablespace t on t.oid = reltablespace where spcname = $1"
    assert system.query(SERVICE, lying, tablespace)[0][0] >= 4, "two years and their indexes"
    assert ask_all(system, projection) == before
    assert not differences(system)


def _check_decisions(system: System) -> None:
    """Reports that are decided by facts of closed years are decided as ever."""
    api = system.the(SERVICE, "api").http
    oldest, other = person_hired("y-0"), person_hired("y-1")
    assert api.post("/v1/events", json=oldest).json()["status"] == "duplicate"
    again = api.post("/v1/events", json=oldest | {"id": "y-again"}).json()
    assert again["reasons"][0]["code"] == "already-open"
    ended = api.post("/v1/events", json=hire_ended("y-2")).json()
    corrected = api.post("/v1/events", json=other | {"id": "y-corrected", "corrects": other["id"]}).json()
    assert (ended["status"], corrected["status"]) == ("accepted", "accepted")
    settle(system, SERVICE)


def _check_lost_topic(system: System, worker: Process) -> list[bytes]:
    """A topic that is lost comes again from both tables, byte by byte; return the facts."""
    log = [row["bytes"] for row in system.query(SERVICE, "select bytes from recorded_fact order by position")]
    topic = deploy_topics.events(SERVICE)
    worker.kill(15)
    run(delete_topics(system.kafka, [topic.name]))
    run(deploy_topics.create(Broker(system.kafka), [topic]))
    system.query(SERVICE, "update relayed set number = 0 where outbox = 'facts'")
    worker.start()
    settle(system, SERVICE)
    assert [message.value for message in whole(system.kafka, topic.name)] == log
    return log


def _rebuild_elsewhere(system: System, projection: Process, tablespace: str) -> None:
    """A new generation of the projection's tables lies where its role makes tables."""
    run(_fetch(system.superuser, f"grant create on tablespace {tablespace} to projection"))
    name = system.databases["projection"].name
    run(_fetch(system.superuser, f"alter role projection in database {name} set default_tablespace = {tablespace}"))
    projection_command(projection, "rebuild")
    lying = "select count(*) from pg_class where reltablespace = (select oid from pg_tablespace where spcname = $1)"
    assert system.query("projection", f"{lying} and relname ~ '_(standing|contribution)'", tablespace)[0][0] >= 2


def _check_harm_is_found(system: System) -> None:
    """Bytes that are in no place or in both, or others than their digest says, are found and not moved on."""
    owner = system.databases[SERVICE].owner_dsn
    harms = {
        "update fact set bytes = null where position = 25": 25,
        "update fact set bytes = s.bytes from stored_away s where s.position = 12 and fact.position = 12": 12,
        "update stored_away set bytes = 'other' where position = 11": 11,
    }
    for harm, position in harms.items():
        system.query(SERVICE, "create table aside as select position, bytes from fact")
        system.query(SERVICE, "create table away_aside as select * from stored_away")
        system.query(SERVICE, harm)
        assert [difference.position for difference in differences(system) if difference.position][:1] == [position]
        system.query(SERVICE, "update fact set bytes = a.bytes from aside a where a.position = fact.position")
        system.query(
            SERVICE, "update stored_away s set bytes = a.bytes from away_aside a where a.position = s.position"
        )
        system.query(SERVICE, "drop table aside, away_aside")
    system.query(SERVICE, "update fact set sha256 = sha256('x') where position = 25")
    with pytest.raises(ConfigurationError, match="was changed"):
        run(store_away(SERVICE, owner, OLD, ""))
    assert places_of_bytes(system)[25] == (True, False)
    system.query(SERVICE, "update fact set sha256 = sha256(bytes) where position = 25")


class _Tested(Installation):
    """An installation whose databases are those of a test."""

    def database(self, service: str) -> str:
        return self.passwords[service].role


def _check_backup(system: System, tablespace: str, log: list[bytes]) -> None:
    """A backup has both tables, and is restored where there is no such tablespace, too."""
    there = Installation(system.folder, superuser_dsn=system.superuser)
    tested = _Tested(
        system.folder,
        superuser_dsn=system.superuser,
        passwords={SERVICE: Passwords(owner="", role=system.databases[SERVICE].name)},
    )
    folder = system.folder / "backup"
    folder.mkdir()
    dumped = run(backup._dump_log(tested, SERVICE, folder / f"{SERVICE}.dump"))
    manifest = Manifest(taken_at=datetime.now(LOCAL_TIME).isoformat(), services={SERVICE: dumped}, keys={})
    taken, name = backup.Backup(folder, manifest), f"restored_{secrets.token_hex(4)}"
    restored = re.sub(r"/[^/]*$", f"/{name}", system.superuser)
    lying = "select count(*) from pg_class where reltablespace = (select oid from pg_tablespace where spcname = $1)"
    other = f"{tablespace}_elsewhere"
    try:
        for called in (tablespace, other):
            if called != tablespace:
                run(_fetch(system.superuser, f"alter tablespace {tablespace} rename to {called}"))
            backup.fill(there, taken, SERVICE, name)
            rows = run(_fetch(restored, "select bytes from recorded_fact order by position"))
            assert [row["bytes"] for row in rows] == log
            assert run(_fetch(restored, "select count(*) from stored_away"))[0][0] == 2 * EACH
            assert (run(_fetch(restored, lying, called))[0][0] > 0) == (called == tablespace)
    finally:
        run(drop(system.superuser, name))
        if system.query(SERVICE, "select from pg_tablespace where spcname = $1", other):
            run(_fetch(system.superuser, f"alter tablespace {other} rename to {tablespace}"))
