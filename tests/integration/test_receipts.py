"""A claim rests on what another service decided: it waits for it, and is granted or refused when it comes (RULES D)."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import httpx
import pytest

from tests.conftest import ROOT
from tests.harness import topics
from tests.harness.processes import System, eventually, run
from tests.harness.reports import (
    CITY,
    OCCUPATION,
    Report,
    certificate_issued,
    certificate_revoked,
    organisation,
    person,
    report,
    standard_set,
    subsidy_claimed,
    subsidy_paid,
)
from tests.harness.topics import last_receipts, publish, settle, structured, whole

SERVICES = ("subsidy", "competition")
ELDER_CARE = "4-10-01-05"
FITTER = "6-20-01-01"
Receipt = dict[str, Any]
Issued = dict[str, Any]


def post(system: System, sent: Report) -> Receipt:
    service = sent["type"].split(".")[1]
    receipt: Receipt = system.the(service, "api").http.post("/v1/events", json=sent).json()
    return receipt


def standing(system: System, sent: Report) -> Receipt:
    service = sent["type"].split(".")[1]
    parameters = {"source": sent["source"], "id": sent["id"]}
    receipt: Receipt = system.the(service, "api").http.get("/v1/receipts", params=parameters).json()
    return receipt


def statuses(system: System, sent: Sequence[Report]) -> Counter[str | None]:
    """Count what stands for some reports of one service."""
    receipts = topics.standing(system, sent[0]["type"].split(".")[1], sent)
    return Counter(receipt["status"] if receipt else None for receipt in receipts)


def decided(system: System, sent: Report) -> Receipt:
    """Return the receipt once the report waits no longer."""
    return eventually(lambda: (receipt := standing(system, sent))["status"] != "waiting" and receipt)


def told_subsidy(system: System, *sent: Report) -> None:
    """Let competition decide, and wait until subsidy has heard of it."""
    for each in sent:
        assert post(system, each)["status"] == "accepted"
    head = system.the("competition", "api").http.get("/v1/log/head").json()["position"]
    heard = "select position from subscription where service = 'competition'"
    eventually(lambda: [row["position"] for row in system.query("subsidy", heard)] == [head])


def facts_of(system: System, subject: str) -> list[dict[str, Any]]:
    rows = system.query("subsidy", "select bytes from fact where stream = $1 order by position", subject)
    return [json.loads(row["bytes"]) for row in rows]


def codes(receipt: Receipt) -> list[str]:
    return [reason["code"] for reason in receipt["reasons"]]


@pytest.fixture(scope="module", autouse=True)
def terms(running: System) -> None:
    """The catalogue and the standards that the amounts below are worked out from by hand."""
    occupations = [
        {"code": OCCUPATION, "name": "车工", "industry": "high-end-equipment"},
        {"code": FITTER, "name": "钳工", "industry": "other"},
    ]
    data: dict[str, Any] = {"title": "紧缺职业(工种)目录", "document_no": "1", "occupations": occupations}
    data |= {"effective_from": "2023-07-01", "effective_until": "2024-12-31"}
    standards = [
        standard_set(1, amount_fen=100_001),
        standard_set(2, amount_fen=120_000, effective_from="2024-06-01"),
        standard_set(3, amount_fen=33_335, occupation_code=FITTER),
        standard_set(4, amount_fen=5, occupation_code=ELDER_CARE, level="4"),
    ]
    for sent in (report("subsidy.catalogue-published", "catalogue", "catalogue/M-1", data, district=CITY), *standards):
        assert post(running, sent)["status"] == "accepted"


@pytest.mark.parametrize("claimed_first", [True, False])
def test_a_claim_is_granted_whether_its_certificate_comes_before_or_after(running: System, claimed_first: bool) -> None:
    number = f"either-way-{claimed_first}"
    claim, certificate = subsidy_claimed(number), certificate_issued(number)
    if claimed_first:
        waiting = post(running, claim)
        assert (waiting["status"], waiting["waits_for"]) == ("waiting", f"certificate/Z-{number}")
        assert "position" not in waiting
        assert post(running, claim)["first"] == waiting
        told_subsidy(running, certificate)
        granted = decided(running, claim)
        assert granted["decided_at"] > waiting["decided_at"]
        assert granted["received_at"] == waiting["received_at"]
    else:
        told_subsidy(running, certificate)
        granted = post(running, claim)
    assert (granted["status"], granted["reasons"], granted["version"]) == ("accepted", [], 1)
    assert post(running, claim)["first"] == granted
    claimed, grant = facts_of(running, claim["subject"])
    assert (granted["position"], granted["stream"]) == (claimed["position"], claim["subject"])
    assert (claimed["type"], grant["type"]) == (claim["type"], "skillplan.subsidy.subsidy-granted.v1")
    assert grant["position"] == claimed["position"] + 1
    assert grant["causationid"] == claimed["id"]
    assert grant["correlationid"] == claimed["correlationid"]
    arithmetic = {
        "certificate_number": f"Z-{number}",
        "base_fen": 100_001,
        "standard_effective_from": "2023-01-01",
        "percentage": 50,
        "clause": "2.2",
        "catalogue_no": "M-1",
        "amount_fen": 150_002,  # 100,001 x 1.5 = 150,001.5, half up
    }
    assert grant["data"] | arithmetic == grant["data"]


AMOUNTS = [
    # occupation, level, issued on, the claim's industry; percentage and amount, by hand
    (OCCUPATION, "3", "2023-06-30", "new-materials", 30, 130_001),  # no catalogue yet: 130,001.3
    (OCCUPATION, "3", "2023-06-30", "other", 0, 100_001),
    (OCCUPATION, "3", "2023-07-01", "other", 50, 150_002),  # its first day
    (OCCUPATION, "3", "2024-05-31", "electronic-information", 50, 150_002),  # 50 instead of 30, not on top
    (OCCUPATION, "3", "2024-06-01", "other", 50, 180_000),  # the standard's first day
    (OCCUPATION, "3", "2024-12-31", "other", 50, 180_000),  # the catalogue's last day
    (OCCUPATION, "3", "2025-01-01", "other", 0, 120_000),
    (FITTER, "3", "2024-02-01", "modern-medicine", 30, 43_336),  # listed, but under no emerging industry: 43,335.5
    (FITTER, "3", "2024-02-01", "other", 0, 33_335),
    (ELDER_CARE, "4", "2024-02-01", "high-end-equipment", 30, 7),  # 6.5
]


def test_amounts_are_as_a_clerk_works_them_out(running: System) -> None:
    certificates, claims = [], []
    for n, (occupation, level, issued_on, industry, _, _) in enumerate(AMOUNTS):
        changes: Issued = {"occupation_code": occupation, "level": level, "issued_on": issued_on}
        certificates.append(certificate_issued(f"amount-{n}", **changes))
        claims.append(subsidy_claimed(f"amount-{n}", industry=industry, claimed_on="2025-02-01"))
    told_subsidy(running, *certificates)
    for claim, (*_, percentage, amount) in zip(claims, AMOUNTS, strict=True):
        assert post(running, claim)["status"] == "accepted"
        granted = facts_of(running, claim["subject"])[1]["data"]
        assert (granted["percentage"], granted["amount_fen"]) == (percentage, amount)


REFUSED: list[tuple[str, list[Report], Report]] = [
    (
        "not-your-certificate",
        [certificate_issued("refused-1")],
        subsidy_claimed("refused-1", person=person("somebody else")),
    ),
    (
        "certificate-not-valid",
        [certificate_issued("refused-2", issued_on="2024-03-02")],
        subsidy_claimed("refused-2", claimed_on="2024-03-01"),
    ),
    (
        "certificate-not-valid",
        [certificate_issued("refused-3", expires_on="2024-02-29")],
        subsidy_claimed("refused-3", claimed_on="2024-03-01"),
    ),
    (
        "certificate-not-valid",
        [certificate_issued("refused-4"), certificate_revoked("refused-4", revoked_on="2024-03-01")],
        subsidy_claimed("refused-4", claimed_on="2024-03-01"),
    ),
    (
        "no-standard",
        [certificate_issued("refused-5", issued_on="2022-12-31")],
        subsidy_claimed("refused-5"),
    ),
]


@pytest.mark.parametrize(("code", "certificate", "claim"), REFUSED)
def test_a_refused_claim_names_the_rule(
    running: System, code: str, certificate: Sequence[Report], claim: Report
) -> None:
    told_subsidy(running, *certificate)
    receipt = post(running, claim)
    assert (receipt["status"], codes(receipt)) == ("refused", [code])
    assert receipt["reasons"][0]["zh"]
    assert receipt["reasons"][0]["en"]
    (refusal,) = facts_of(running, claim["subject"])
    assert (receipt["position"], receipt["version"]) == (refusal["position"], 1)
    assert refusal["type"] == "skillplan.subsidy.subsidy-refused.v1"
    assert refusal["data"] == {"certificate_number": claim["data"]["certificate_number"], "code": code}
    assert codes(post(running, subsidy_paid(claim["subject"].removeprefix("claim/S-"), 1))) == ["not-granted"]


def test_the_last_days_of_a_certificate_still_count(running: System) -> None:
    told_subsidy(
        running,
        certificate_issued("last-1", expires_on="2024-03-01"),
        certificate_issued("last-2", issued_on="2024-03-01"),
        certificate_issued("last-3"),
        certificate_revoked("last-3", revoked_on="2024-03-02"),
    )
    for number in ("last-1", "last-2", "last-3"):
        assert post(running, subsidy_claimed(number, claimed_on="2024-03-01"))["status"] == "accepted"


def test_a_payment_waits_for_its_claim_and_never_passes_it(running: System) -> None:
    paid, claim = subsidy_paid("paid", 150_000), subsidy_claimed("paid")
    waiting = post(running, paid)
    assert (waiting["status"], waiting["waits_for"]) == ("waiting", claim["subject"])
    assert post(running, claim)["status"] == "waiting"
    assert standing(running, paid) == waiting, "the claim waits itself"
    told_subsidy(running, certificate_issued("paid"))
    assert decided(running, claim)["status"] == "accepted"
    assert decided(running, paid)["status"] == "accepted"

    def again(id_: str, amount_fen: int) -> Receipt:
        return post(running, subsidy_paid("paid", amount_fen) | {"id": id_})

    over = again("payment-over", 3)
    assert codes(over) == ["more-than-granted"]
    assert not any(character.isdigit() for character in over["reasons"][0]["en"]), "it says that, not by how much (G6)"
    assert again("payment-rest", 2)["status"] == "accepted"
    recovery = report(
        "subsidy.subsidy-recovered", "recovered", claim["subject"], {"amount_fen": 150_003, "on": "2024-04-01"}
    )
    assert codes(post(running, recovery)) == ["more-than-paid"]
    types = [fact["type"].split(".")[2] for fact in facts_of(running, claim["subject"])]
    assert types == ["subsidy-claimed", "subsidy-granted", "subsidy-paid", "subsidy-paid"]


def test_an_end_waits_for_what_it_ends(running: System) -> None:
    revoked, issued = certificate_revoked("early-end"), certificate_issued("early-end")
    waiting = post(running, revoked)
    assert (waiting["status"], waiting["waits_for"]) == ("waiting", issued["subject"])
    assert post(running, issued)["status"] == "accepted"
    assert standing(running, revoked)["status"] == "accepted"
    assert codes(post(running, revoked | {"id": "ended-twice"})) == ["not-open"]


async def _post_all(address: str, sent: Iterable[Report]) -> list[Receipt]:
    limits = httpx.Limits(max_connections=50)
    async with httpx.AsyncClient(limits=limits, timeout=30) as client:
        answers = await asyncio.gather(*(client.post(address + "/v1/events", json=each) for each in sent))
    return [answer.json() for answer in answers]


def at_once(system: System, service: str, sent: Sequence[Report]) -> None:
    """Send half of the reports by Kafka and half by HTTP, in the same moment; return once each has a receipt."""
    by_kafka, by_http = sent[::2], sent[1::2]

    async def both() -> None:
        posting = asyncio.create_task(_post_all(system.the(service, "api").url, by_http))
        await asyncio.to_thread(publish, system.kafka, [structured(each) for each in by_kafka])
        await posting

    run(both())
    eventually(lambda: not statuses(system, by_kafka)[None])


def test_fifty_claims_at_once_on_one_certificate_are_one_grant(running: System) -> None:
    told_subsidy(running, certificate_issued("fifty"))
    claims = [_claim_on("fifty", n) for n in range(50)]
    at_once(running, "subsidy", claims)
    _check_one_grant(running, claims)


def test_fifty_claims_that_wait_for_one_certificate_are_one_grant(running: System) -> None:
    claims = [_claim_on("fifty-waiting", n) for n in range(50)]
    at_once(running, "subsidy", claims)
    assert statuses(running, claims) == {"waiting": 50}
    first = min(filter(None, topics.standing(running, "subsidy", claims)), key=lambda receipt: receipt["decided_at"])
    told_subsidy(running, certificate_issued("fifty-waiting"))
    _check_one_grant(running, claims)
    (granted,) = (r for r in topics.standing(running, "subsidy", claims) if r and r["status"] == "accepted")
    assert granted["id"] == first["id"], "in the order received (RULES C8)"


def _claim_on(number: str, n: int) -> Report:
    claim = subsidy_claimed(number, person=certificate_issued(number)["data"]["person"])
    return claim | {"id": f"{claim['id']}-{n}", "subject": f"{claim['subject']}-{n}"}


def _check_one_grant(system: System, claims: Sequence[Report]) -> None:
    eventually(lambda: statuses(system, claims) == {"accepted": 1, "refused": 49})
    refused = [r for r in topics.standing(system, "subsidy", claims) if r and r["status"] == "refused"]
    assert all(codes(receipt) == ["already-granted"] for receipt in refused)
    rows = system.query("subsidy", "select bytes from fact where stream = any($1)", [c["subject"] for c in claims])
    facts = [json.loads(row["bytes"]) for row in rows]
    assert Counter(fact["type"].split(".")[2] for fact in facts) == {
        "subsidy-claimed": 1,
        "subsidy-granted": 1,
        "subsidy-refused": 49,
    }
    settle(system, "subsidy")
    remaining = last_receipts(system, {"330681"})
    assert Counter(remaining[c["source"], c["id"]]["status"] for c in claims) == {"accepted": 1, "refused": 49}


def test_fifty_credit_lines_at_once_stay_under_the_cap(running: System) -> None:
    who, bank = person("credit"), organisation(7)
    honour = {"honour": "artisan", "rank": "city", "person": who, "conferred_on": "2024-01-05"}
    told_subsidy(running, report("competition.honour-conferred", "honour-50", "honour/H-50", honour))
    wanted = {"person": who, "bank": bank, "amount_fen": 4_000_000, "requested_on": "2024-03-01"}
    lines = [report("subsidy.credit-line-requested", f"line-{n}", f"credit/L-{n}", wanted) for n in range(50)]
    at_once(running, "subsidy", lines)
    # 37 x 4,000,000 = 148,000,000 of 150,000,000 fen; one more would be over (RULES D12).
    assert statuses(running, lines) == {"accepted": 37, "refused": 13}
    refused = [r for r in topics.standing(running, "subsidy", lines) if r and r["status"] == "refused"]
    assert all(codes(receipt) == ["over-the-limit"] for receipt in refused)


def test_one_report_sent_fifty_times_at_once_is_one_fact(running: System) -> None:
    certificate = certificate_issued("fifty-times")
    at_once(running, "competition", [certificate] * 50)
    count = "select count(*) from receipt where id = $1"
    eventually(lambda: running.query("competition", count, certificate["id"])[0][0] == 50)
    key = (certificate["source"], certificate["id"])

    settle(running, "competition")
    result = [stored.json for stored in whole(running.kafka, "receipts.330681")]
    receipts = [receipt for receipt in result if (receipt.get("source"), receipt.get("id")) == key]
    assert Counter(receipt["status"] for receipt in receipts) == {"accepted": 1, "duplicate": 49}
    (first,) = (receipt for receipt in receipts if receipt["status"] == "accepted")
    assert all(receipt["first"] == first for receipt in receipts if receipt["status"] == "duplicate")
    facts = running.query("competition", "select bytes from fact where stream = $1", certificate["subject"])
    assert len(facts) == 1


def test_any_client_reads_the_receipts_without_further_packages(running: System) -> None:
    """Issue 16.6: what the documentation shows, in a Python whose Kafka client has no codec but gzip."""
    issued = certificate_issued("any-client")
    assert post(running, issued)["status"] == "accepted"
    program = ROOT / "docs" / "clients" / "receipts_aiokafka.py"
    without = "import aiokafka.codec as c, runpy; c.has_lz4 = c.has_zstd = c.has_snappy = lambda: False; "
    start = f"{without}runpy.run_path({str(program)!r}, run_name='__main__')"
    command = [sys.executable, "-c", start, issued["district"]]
    environment = os.environ | {"SKILLPLAN_KAFKA": running.kafka}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as following:
        assert following.stdout is not None
        read = next(receipt for line in following.stdout if (receipt := json.loads(line))["id"] == issued["id"])
        following.kill()
    assert read["status"] == "accepted"
