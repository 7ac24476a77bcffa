"""The receipt in force of each report is stored, and the counts follow it, however receipts are cut into batches."""

import random
from collections import Counter
from datetime import UTC, date, datetime, timedelta

import asyncpg

from services.projection.counting import writers
from services.projection.receipts.follower import latest
from services.projection.receipts.store import FollowedReceipt, OffsetMove, offsets, store_receipts
from tests.conftest import NewDatabase
from tests.harness.processes import run

TOPIC = "receipts.330602"


def receipt(number: int, status: str, second: int) -> FollowedReceipt:
    at = datetime(2024, 6, 1, tzinfo=UTC) + timedelta(seconds=second)
    bound = status != "invalid"
    code = "" if status == "accepted" else f"why-{status}"
    return FollowedReceipt(
        "recruitment", f"s r{number}", "s", f"r{number}", "330602", date(2024, 6, 1), "t", status, code, bound, at, at,
        f'{{"second":{second}}}',
    )  # fmt: skip


def test_one_receipt_a_report_is_stored_and_the_counts_are_those_of_what_is_stored(database: NewDatabase) -> None:
    chance = random.Random(7)  # noqa: S311 - chance, no secret
    sent = [
        receipt(chance.randrange(60), status, chance.randrange(90))
        for status in chance.choices(["accepted", "waiting", "refused", "invalid"], k=600)
    ]

    async def store() -> tuple[list[asyncpg.Record], list[asyncpg.Record]]:
        async with writers.connected(database("projection").dsn, "test") as connection:
            at = (await offsets(connection, [TOPIC]))[TOPIC]
            while at < len(sent):
                after = min(len(sent), at + chance.randrange(1, 60))
                moved = await store_receipts(connection, latest(sent[at:after]), [OffsetMove(TOPIC, at, after)])
                assert moved == {TOPIC}
                at = after
            assert await store_receipts(connection, [], [OffsetMove(TOPIC, 0, 1)]) == set(), "another has moved it"
            return (
                await connection.fetch("select key, status, body from receipt"),
                await connection.fetch("select status, code, reports from receipt_tally where reports <> 0"),
            )

    stored, tallies = run(store())
    assert {tuple(row) for row in stored} == {(row.key, row.status, row.body) for row in latest(sent)}
    counts = Counter((row.status, row.code) for row in latest(sent))
    assert {(row["status"], row["code"]): row["reports"] for row in tallies} == counts
