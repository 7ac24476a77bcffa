"""The dashboard in a real browser, against the processes of `make up` with the demo feed."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final
from unicodedata import normalize
from xml.etree import ElementTree

import httpx
import pytest

from client.audit.evidence import PAGE, archive
from deploy.local.children import dies_with_parent
from deploy.local.installation import load
from deploy.local.processes import Supervisor, command_environment, environment, inherited
from services.catalogue import DOMAIN_SERVICES
from shared.http.api_keys import KeyFile, Role
from tests.conftest import ROOT
from tests.e2e.conftest import PLAN, make, plan_office, progress_of
from tests.harness.browser import CHROMIUM, run_errand
from tests.harness.papers import as_one, sheets_of
from tests.harness.ports import any_free
from tests.harness.processes import eventually
from tests.harness.reports import person_hired, report
from tests.unit.test_evidence import made

SHOTS: Final = Path(os.environ.get("SCREENSHOTS") or ROOT / ".cache" / "screenshots")
_PAGES: Final = {
    "overview": f"#/{PLAN}?as_of=2025-06-30",
    "overview-district": f"#/{PLAN}?as_of=2025-06-30&district=330681",
    "measure": f"#/{PLAN}/measure/4.1?as_of=2025-06-30&indicator=4.1.a",
    "measure-level": f"#/{PLAN}/measure/2.4?as_of=2025-06-30&indicator=2.4.c",
    "districts": f"#/{PLAN}/districts?as_of=2025-06-30",
    "district": f"#/{PLAN}/district/330681?as_of=2025-06-30",
    "bodies": f"#/{PLAN}/bodies?as_of=2025-06-30",
    "body": f"#/{PLAN}/body/hrss?as_of=2025-06-30",
    "facts": f"#/{PLAN}/facts/2.4.a?as_of=2025-06-30&period=2025",
    "receipts": f"#/{PLAN}/receipts/330681?as_of=2025-06-30",
    "tables": f"#/{PLAN}/tables?as_of=2025-06-30",
    "closings": f"#/{PLAN}/closings?as_of=2025-06-30",
    "targets": f"#/{PLAN}/targets/4.1.b?as_of=2025-06-30",
    "health": f"#/{PLAN}/health?as_of=2025-06-30",
    "difference": f"#/{PLAN}/difference?as_of=2025-06-30",
}
# The pictures of the documentation; RECORD=1 takes them anew.
_PICTURES: Final = {
    "overview": {"hash": _PAGES["overview"], "width": 1200, "height": 900},
    "measure": {"hash": _PAGES["measure"], "width": 1200, "height": 1000},
    "facts": {"hash": _PAGES["facts"], "width": 1200, "height": 760},
    "receipts": {"hash": _PAGES["receipts"], "width": 1200, "height": 1000},
    "phone": {"hash": _PAGES["overview"], "width": 390, "height": 844},
}
_LARGEST_PICTURES: Final = 1_500_000
_ASKED: Final = r"20[0-9]{2}年[0-9]+月起滞后,请填写原因和下一步。"
_EMPTY_PICTURE: Final = 20_000
PICTURES: Final = ROOT / "docs" / "pictures"
Browser = Callable[..., dict[str, Any]]

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt install chromium, or CHROMIUM=<path>")


@pytest.fixture
def browser(addresses: dict[str, str]) -> Browser:
    """Run one errand of browser.mjs and return its result."""

    def run(errand: str, **options: Any) -> dict[str, Any]:
        places = {"base": addresses["projection"], "recruitment": addresses["recruitment"]}
        return run_errand(errand, **{"plan": PLAN, "shots": str(SHOTS), **places, **options})

    return run


def test_a_reported_hire_moves_the_number_on_an_open_page_within_two_seconds(browser: Browser) -> None:
    # On a busy machine one of three may be late; that all three are is a fault.
    result = browser("journey", reports=[person_hired(f"dashboard-{number}") for number in range(3)])
    assert result["sameDocument"]
    assert min(result["lags"]) < 2, result["lags"]
    assert result["complaints"] == []


@pytest.mark.usefixtures("closed_month")
def test_every_page_is_whole_in_both_languages_and_lights_at_every_width(
    browser: Browser, addresses: dict[str, str]
) -> None:
    result = browser("pages", base=addresses["gateway"], pages=_PAGES)  # where an office has something to do, too
    assert result["views"] == len(_PAGES) * 12
    assert result["complaints"] == []
    assert result["failed"] == []
    assert result["wide"] == []
    assert result["untranslated"] == []
    assert result["axe"] == []
    assert result["hosts"] == [httpx.URL(addresses["gateway"]).netloc.decode()]
    assert 0 < result["scripts"] <= 260 * 1024
    # Every sheet of paper says at its head what it is of, for whom, which day and as known when, and has its number.
    plan = httpx.get(f"{addresses['projection']}/v1/plans/{PLAN}", timeout=20).json()
    # The browser writes some Chinese characters as the radicals that look like them.
    head = re.escape(normalize("NFKC", as_one(plan["title"]["zh"]))) + "·全市·截至2025年6月30日·按2[0-9]{3}年.+所知"
    sheets = sheets_of((SHOTS / "overview.pdf").read_bytes())
    assert len(sheets) > 1
    for number, sheet in enumerate(sheets, 1):
        assert re.search(head, normalize("NFKC", sheet)), sheet[:200]
        assert f"—{number}—" in sheet


def test_a_chart_is_saved_as_a_picture_that_says_what_it_shows(browser: Browser, tmp_path: Path) -> None:
    result = browser("picture", pages=[_PAGES["measure"], _PAGES["districts"]], folder=str(tmp_path))
    assert result["complaints"] == []
    names = [f"{PLAN}-4.1.a-2025-2025-06-30.svg", f"{PLAN}-map-2025-06-30.svg"]
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted(names)
    for name, phrase in zip(names, ("4.1.a", "绍兴市各区县"), strict=True):
        drawing = ElementTree.parse(tmp_path / name).getroot()  # noqa: S314 - our own file
        assert drawing.tag == "{http://www.w3.org/2000/svg}svg"
        texts = ["".join(text.itertext()) for text in drawing.iter("{http://www.w3.org/2000/svg}text")]
        assert phrase in texts[0]
        assert "2025年6月30日" in texts[1]
        shapes = list(drawing.iter("{http://www.w3.org/2000/svg}path"))
        assert len(shapes) > 5
        assert any(shape.get("fill", "none").startswith("rgb") for shape in shapes)


def test_who_writes_why_a_number_is_red_is_asked_told_what_is_wrong_and_read_everywhere(
    browser: Browser, addresses: dict[str, str]
) -> None:
    cause, next_step = "<3 家企业 & 两所院校>推迟招聘", "月底前核定用工计划"
    written = {"cause": "用工需求后移", "next_step": "逐周调度", "by": "市就业处"}
    note = report("planning.note-written", "note-worst", "", written, district="330600")
    result = browser(
        "note", base=addresses["gateway"], as_of="2025-06-30", cause=cause, next_step=next_step, by="市就业处",
        note=note, wrong={"long": "推" * 201, "hidden": "推\u200b迟", "markup": "<img src=x onerror=alert(1)>推迟"},
    )  # fmt: skip
    assert re.fullmatch(_ASKED, result["asked"])
    assert result["faults"]["empty"] == "请填写此项。"
    assert "1-200" in result["faults"]["long"]
    assert "不可见" in result["faults"]["hidden"]
    assert "HTML" in result["faults"]["markup"]
    assert result["unwritten"] == 0
    assert cause in result["written"], "signs of markup are text"
    assert result["elements"] == 0
    each = r"( [1-5]\.[1-9]\.[a-z])+"
    assert re.fullmatch(rf"有 [1-9][0-9]* 项已转红而尚未说明,请填写原因和下一步。{each}", result["unit"])
    assert result["first"] == "原因:用工需求后移"
    assert (cause in result["line"], next_step in result["line"]) == (True, True)
    assert (result["axe"], result["wide"] <= 0, result["complaints"]) == ([], True, [])
    url = f"{addresses['projection']}/v1/plans/{PLAN}"
    briefing = httpx.get(f"{url}/briefing", params={"month": "2025-06", "figures": "now"}, timeout=20).text
    assert "&lt;3 家企业 &amp; 两所院校&gt;推迟招聘" in briefing
    assert briefing.count(next_step) == 2, "the whole's and the district's"
    rows = httpx.get(f"{url}/notes", params={"district": "330681"}, timeout=10).json()
    assert [(note["indicator"], note["by"], note["earlier"]) for note in rows["notes"]] == [("4.1.b", "市就业处", [])]
    assert "330681" in rows["may"]


@pytest.mark.timeout(400)
def test_a_month_goes_from_its_submission_to_its_restatement_by_two_people(
    browser: Browser, addresses: dict[str, str]
) -> None:
    late = [person_hired(f"month-{number}", hired_on="2024-05-06") for number in range(2)]
    result = browser(
        "month", base=addresses["gateway"], as_of="2025-06-30", month="2024-05", open="2024-06", district="330681",
        other="330602", late=late, message="请核对入职人数", why="该县系统升级",
        names={"clerk": "诸暨市统计科", "planner": "计划科", "head": "分管领导"},
    )  # fmt: skip
    assert late[0]["district"] == "330681"
    assert "4.1.b" in result["moved"]
    assert "+1" in result["moved"]
    assert "请核对入职人数" in result["returned"]
    assert "4.1.b" in result["returned"]
    assert "已经关账" in result["closed"]
    assert "another" in result["own"] or "somebody else" in result["own"]
    assert result["publications"] == 0, "the restatement that was refused published nothing"
    assert (result["axe"], result["wide"] <= 0) == ([], True)
    assert [each for each in result["complaints"] if "422" not in each] == []
    month = httpx.get(f"{addresses['projection']}/v1/plans/{PLAN}/closings/2024-05", timeout=10).json()
    assert [each["by"] for each in month["published"]] == ["计划科", "分管领导"]


def test_a_target_is_revised_with_a_preview_and_split_by_a_proposal_that_adds_up(
    browser: Browser, addresses: dict[str, str], state: Path
) -> None:
    result = browser(
        "targets", base=addresses["gateway"], as_of="2025-06-30", indicator="1.3.b", period="2025", by="计划科",
        measure="1.3", value="1801", why="中期评估", clause="绍市人社〔2025〕9号", **{"from": "2025-01-01"},
    )  # fmt: skip
    try:
        assert (result["before"], result["unchanged"], result["after"]) == ("> 2,000", "> 2,000", "> 1,801")
        assert result["wrong"] == "请填写数字。"
        assert "> 2,000 改为 > 1,801" in result["preview"]
        assert "完成率" in result["preview"]
        assert "均分" in result["proposals"]
        assert "相差" in result["gap"]
        count, sentence = result["asked"]
        assert count == "有 1 项已转红而尚未说明,请填写原因和下一步。 1.3.b"
        assert re.fullmatch(_ASKED, sentence)
        for phrase in ("自 2025年1月1日 起执行", "绍市人社〔2025〕9号", "中期评估", "计划科"):
            assert phrase in result["since"]
        assert result["parts"][1:] == ["> 301", *["> 300"] * 5]
        assert (result["axe"], result["wide"] <= 0, result["complaints"]) == ([], True, [])
    finally:  # what other tests compare with the plan's file
        url = f"{addresses['gateway']}/v1/plans/{PLAN}/targets"
        (indicator,) = [
            each for each in httpx.get(url, timeout=10).json()["indicators"] if each["id"] == "1.3.b"
        ]  # fmt: skip
        subjects = {"target-revised": f"target/{PLAN}/1.3.b", "target-split": f"split/{PLAN}/1.3.b/2025/districts"}
        decided = {(subjects[each["type"]], each["source"], each["id"]) for each in indicator["history"]
                   if each["by"] == "计划科"}  # fmt: skip
        for subject, source, id_ in sorted(decided):
            plan_office(state, "withdraw", subject, id_, "--why", "演示结束", "--source", source)


def test_an_unknown_address_is_a_page_at_the_projection_and_at_the_one_address_of_all(
    addresses: dict[str, str],
) -> None:
    for name in ("projection", "gateway"):
        page = httpx.get(f"{addresses[name]}/no-such-page", headers={"accept": "text/html"}, timeout=10)
        assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
        assert '<a href="/">' in page.text
        answer = httpx.get(f"{addresses[name]}/v1/no-such", headers={"accept": "text/html"}, timeout=10)
        assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


def test_the_pictures_of_the_documentation_show_these_pages(browser: Browser) -> None:
    folder = PICTURES if os.environ.get("RECORD") else SHOTS / "pictures"
    browser("pictures", pictures=_PICTURES, folder=str(folder))
    for name, size in _PICTURES.items():
        for picture in (folder / f"{name}.png", PICTURES / f"{name}.png"):
            raw = picture.read_bytes()
            assert struct.unpack(">II", raw[16:24]) == (size["width"], size["height"])  # PNG says so there
            assert len(raw) > _EMPTY_PICTURE, "something is on it"
    assert sum(file.stat().st_size for file in PICTURES.iterdir()) < _LARGEST_PICTURES


def test_the_page_of_the_api_draws_every_question_from_our_files_alone(
    browser: Browser, addresses: dict[str, str]
) -> None:
    SHOTS.mkdir(parents=True, exist_ok=True)
    described = httpx.get(f"{addresses['projection']}/openapi.json").json()["paths"]
    result = browser("reference")
    assert set(result["paths"]) == set(described)
    assert result["complaints"] == []
    assert result["hosts"] == [httpx.URL(addresses["projection"]).netloc.decode()]


def test_a_lost_connection_is_shown_and_mended(browser: Browser, state: Path) -> None:
    pid = Supervisor(state).states()["projection-api"]["pid"]
    result = browser("reconnect", pid=pid)
    assert "断开" in result["lost"]
    assert result["value"] > 0
    assert result["failed"] == 0


@contextlib.contextmanager
def beside(state: Path, folder: Path, service: str, port: int, **settings: str) -> Iterator[str]:
    """Yield the address of a second API of a service beside the installation's, with settings of its own."""
    with (folder / f"{service}.log").open("wb") as log:
        api = subprocess.Popen(
            dies_with_parent([sys.executable, "-m", f"services.{service}", "api"]),
            cwd=ROOT,
            env=inherited() | dict(environment(load(state), service, port)) | settings,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        eventually(lambda: httpx.get(f"{url}/readyz", timeout=5).status_code == 200, 60)
        yield url
    finally:
        api.kill()
        api.wait(10)


@pytest.fixture
def keyed(state: Path, tmp_path: Path) -> Iterator[tuple[str, str, KeyFile]]:
    """The address of all services where keys are set, that of the projection alone, and the keys."""
    pepper, ports = secrets.token_hex(32), any_free(3)
    file = KeyFile(tmp_path / "keys.json", pepper)
    file.create()
    settings = {"SKILLPLAN_KEYS": str(tmp_path / "keys.json"), "SKILLPLAN_KEY_PEPPER": pepper}
    with contextlib.ExitStack() as opened:
        started = {
            name: opened.enter_context(beside(state, tmp_path, name, port, **settings))
            for name, port in zip(("projection", "planning"), ports, strict=False)
        }
        addresses = {"SKILLPLAN_PROJECTION": started["projection"]}
        services = {name: load(state).url(name) for name in DOMAIN_SERVICES} | {"planning": started["planning"]}
        addresses["SKILLPLAN_SERVICES"] = json.dumps(services)
        gateway = opened.enter_context(beside(state, tmp_path, "gateway", ports[2], **settings, **addresses))
        yield gateway, started["projection"], file


def test_what_a_rebuild_would_change_is_read_on_its_page_until_it_is_let_go(
    browser: Browser, state: Path, addresses: dict[str, str], tmp_path: Path
) -> None:
    """Issue 19.5: by a plan of other hires every hire that counts is named, and nothing has changed."""
    plans, channel = tmp_path / "plans", "where: {channel: gold-blue-collar}"
    shutil.copytree(ROOT / "plans", plans)
    file = plans / f"{PLAN}.yaml"
    text = file.read_text(encoding="utf-8")
    assert channel in text
    file.write_text(text.replace(channel, "where: {channel: school-enterprise}"), encoding="utf-8")
    own = {"SKILLPLAN_PLANS": str(plans), "SKILLPLAN_ONLY": PLAN}
    figures = progress_of(addresses, as_of="2025-06-30")["indicators"]
    done = subprocess.run(
        [sys.executable, "-m", "services.projection", "beside"], cwd=ROOT, capture_output=True, text=True, timeout=200,
        env=command_environment(load(state), "projection") | own, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    difference = httpx.get(f"{addresses['projection']}/v1/difference", timeout=20).json()["difference"]
    page = browser("difference", hash=_PAGES["difference"])
    assert page["commands"] == [f"make rebuild ACCEPT={difference['code']}", "make rebuild BACK=1"]
    assert len(page["rows"]) == len(difference["cells"]) > 0
    for (indicator, period, _, _, before, after, facts), cell in zip(page["rows"], difference["cells"], strict=True):
        change = cell["after"] - cell["before"]  # none where other facts add the same
        assert (indicator.split()[0], before) == (cell["indicator"], f"{cell['before']:,}")
        assert period == (f"{cell['period']} 年" if cell["period"] else "计划期")
        assert after == f"{cell['after']:,} ({'−' if change < 0 else '+' if change else '±'}{abs(change):,})"
        assert facts == f"{cell['facts']:,} 件事实"
    first = difference["cells"][0]["because"]
    assert [fact["subject"] in line for fact, line in zip(first, page["because"], strict=True)] == [True] * len(first)
    assert (page["axe"], page["complaints"], max(page["wide"]) <= 0) == ([], [], True)
    assert progress_of(addresses, as_of="2025-06-30")["indicators"] == figures
    assert make(state, "rebuild", BACK="1").returncode == 0
    page = browser("difference", hash=_PAGES["difference"])
    assert (page["rows"], page["none"], page["axe"]) == ([], ["没有待定的重建;各数照旧。"], [])


def test_who_has_never_seen_a_pack_is_told_at_first_sight_which_number_was_changed(tmp_path: Path) -> None:
    """Issue 19.4: from the disk, without a network, on a large screen and a telephone's."""
    whole, changed = made(), tmp_path / "changed.zip"
    changed.write_bytes(archive(whole | {"figures.json": whole["figures.json"].replace(b'"value": 3', b'"value": 4')}))
    result = run_errand("pack", base="", plan=PLAN, shots=str(SHOTS), page=PAGE.as_uri(), pack=str(changed))
    sentence = "4.1.b · 2024 · 全市 whole city:数值这里写 4,关账公布的是 3。"
    for verdict, finding in result["screens"]:
        assert (verdict, finding.splitlines()[0]) == ("有 1 处不符 Mismatches: 1", sentence)
    assert (len(result["screens"]), result["axe"], result["complaints"], set(result["hosts"])) == (2, [], [], {""})


def test_a_page_of_another_origin_shows_numbers_in_a_frame_where_it_is_named_and_nothing_where_not(
    browser: Browser, addresses: dict[str, str], state: Path, tmp_path: Path
) -> None:
    hashes = [_PAGES["overview"], _PAGES["measure"], _PAGES["receipts"]]
    port, *others = any_free(3)
    portal, stranger = (f"http://127.0.0.1:{other}" for other in others)
    with beside(state, tmp_path, "projection", port, SKILLPLAN_FRAMES=f"{portal} https://other.example") as named:
        result = browser("frames", base=named, portal=portal, hashes=hashes, refused=False)
        assert result["complaints"] == []
        overview, measure, receipts = result["shown"]
        assert "最需要关注" in overview["text"]
        assert "4.1.a" in measure["text"]
        # What names reports is not shown there; a link leads to it in a window of its own.
        assert "在新窗口" in receipts["text"]
        assert [each["acts"] for each in result["shown"]] == [0, 0, 0]
        other = browser("frames", base=named, portal=stranger, hashes=hashes[:1], refused=True)
    unnamed = browser("frames", base=addresses["projection"], portal=portal, hashes=hashes[:1], refused=True)
    for answer in (other, unnamed):
        assert not any("最需要关注" in text for text in answer["shown"])
        assert any("frame-ancestors" in complaint for complaint in answer["complaints"])


def test_where_keys_are_set_the_page_asks_for_one_and_keeps_it_for_the_session(
    browser: Browser, keyed: tuple[str, str, KeyFile]
) -> None:
    _, base, file = keyed
    _, key = file.add(Role.READER, (), "director", None)
    result = browser("keyed", base=base, key=key)
    assert "密钥" in result["refused"]
    assert result["value"] > 0
    assert not result["leaked"]


def test_a_director_a_district_and_the_plan_office_each_see_and_do_what_their_key_may(
    browser: Browser, keyed: tuple[str, str, KeyFile]
) -> None:
    base, _, file = keyed
    city, own = "/districts/330600/", "/districts/330683/"
    people = {
        "director": (Role.READER, (), "局长"),
        "district": (Role.DISTRICT, (f"{own}statistics",), "嵊州市统计科"),
        "unit": (Role.DISTRICT, (f"{city}employment",), "市就业处"),
        "office": (Role.PLANNER, (f"{city}plan-office",), "计划科"),
    }
    keys = {name: file.add(*person, None)[1] for name, person in people.items()}
    result = browser(
        # On cells that no other test reads: its number is watched only, its district another.
        "roles", base=base, keys=keys, as_of="2025-06-30", month="2025-06", district="330683", indicator="1.4.b",
        measure="1.4", target="2.4.a", cause="学员农忙请假", next_step="增开夜班",
    )  # fmt: skip
    director, district, unit, office = (result[name] for name in people)
    assert "有目标的指标" in director["headline"]
    assert director["briefing"].startswith("%PDF-")
    assert (director["writes"], director["acts"], director["month"]) == (0, 0, 0)
    assert (district["writes_whole"], district["by"]) == (0, "嵊州市统计科")
    assert "学员农忙请假" in district["note"]
    assert district["month"] == [["submit"]]
    assert (unit["by"], unit["month"]) == ("市就业处", [])
    assert "学员农忙请假" in unit["note"]
    assert ["approve", "return"] in office["month"]
    assert office["by"] == "计划科"
    assert office["acts"] == ["revise", "districts", "months"]
    assert office["files"] == 3
    assert result["complaints"] == []


def test_missing_data_and_wrong_parameters_are_explained_and_missing_data_is_no_zero(browser: Browser) -> None:
    result = browser("states")
    assert result["requests"] > 1
    assert "没有这个页面" in result["unknown"]
    assert "计划自" in result["before"]
    assert "known_at" in result["wrong"]
    assert result["none"] == "暂无数据"
    assert re.fullmatch(r"[+−±][\d,]+", result["gap"]), "persons are whole"
    assert "全市目标尚未分解到新昌县" in result["unsplit"]
    assert "尚未分解;示意" in result["row"]
    assert not re.search("不设目标|没有量化目标", result["unsplit"] + result["row"]), "never: no target, all well"
    assert result["monitored"] == 0
    assert result["focused"] == "main"


def test_the_page_is_never_stale_its_files_are_kept_and_nothing_from_outside_is_let_in(
    addresses: dict[str, str],
) -> None:
    page = httpx.get(f"{addresses['projection']}/", timeout=10)
    assert page.headers["cache-control"] == "no-cache"
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    names = [name for name in page.text.split('"') if name.startswith("./assets/")]
    assert names
    for name in names:
        file = httpx.get(f"{addresses['projection']}/{name}", timeout=10)
        assert file.status_code == 200
        assert "immutable" in file.headers["cache-control"]
    outlines = httpx.get(f"{addresses['projection']}/map.json", timeout=10).json()
    assert len(outlines["features"]) == 6


def test_a_district_finds_its_wrong_report_with_the_reason_and_the_fix(addresses: dict[str, str]) -> None:
    wrong = person_hired("dashboard-wrong")
    wrong["data"]["hired_on"] = "2024-02-30"
    assert httpx.post(f"{addresses['recruitment']}/v1/events", json=wrong, timeout=10).status_code == 422
    district = wrong["district"]
    params = {"status": "invalid", "type": wrong["type"], "limit": "1"}

    def receipts_with_it() -> Any:
        response = httpx.get(f"{addresses['projection']}/v1/districts/{district}/receipts", params=params, timeout=10)
        assert response.status_code == 200, response.text
        page = response.json()
        return page if any(receipt.get("id") == wrong["id"] for receipt in page["receipts"]) else None

    page = eventually(receipts_with_it, within=20)
    (receipt,) = page["receipts"]
    (reason,) = receipt["reasons"]
    assert (reason["code"], reason["pointer"]) == ("bad-date", "/data/hired_on")
    assert reason["fix"]["zh"]
    assert reason["fix"]["en"]
    assert page["counts"]["statuses"] == {"invalid": sum(day["statuses"]["invalid"] for day in page["counts"]["days"])}


def test_pages_of_receipts_go_on_where_the_one_before_ended(addresses: dict[str, str]) -> None:
    url = f"{addresses['projection']}/v1/districts/330681/receipts"
    whole = httpx.get(url, params={"limit": "40"}, timeout=10).json()["receipts"]
    parts, after = [], ""
    for _ in range(4):
        page = httpx.get(url, params={"limit": "10"} | ({"after": after} if after else {}), timeout=10).json()
        parts += page["receipts"]
        after = page["next"]
    assert parts == whole
    for params in ({"after": "x"}, {"day": "yesterday"}, {"status": "lost"}):
        wrong = httpx.get(url, params=params, timeout=10)
        assert wrong.status_code == 422
        assert wrong.json()["zh"]
    assert httpx.get(f"{addresses['projection']}/v1/districts/110000/receipts", timeout=10).status_code == 404
