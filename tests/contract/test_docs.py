"""The pages say what the code, the plan and the contract say, and every link in them leads somewhere."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from client.__main__ import app
from client.mapping_file import read_mapping
from docs.generators import modules
from docs.generators.catalogue import DOCS, LANGUAGES, PLAN, ROOT, Catalogue, IncompleteError
from docs.generators.markdown import anchor
from docs.generators.measures import measures
from docs.generators.pages import PAGES
from docs.generators.refusals import refusals
from docs.generators.types import service_types
from shared.plan.loading import read_plan
from tests.harness.languages import faults, understood

WRITTEN = sorted(
    [
        *ROOT.glob("*.md"),
        *DOCS.glob("*.md"),
        *DOCS.glob("types/*.md"),
        *DOCS.glob("decisions/*.md"),
        *ROOT.glob("plans/*.md"),
    ]
)
LINK = re.compile(r"\[[^\]\n]*\]\(([^)\s]+)\)")
TEST_LINK = re.compile(r"(<br>|, )?\[`test_\w+\.py`\]\([^)]*\)")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return Catalogue()


def without_tests(page: str) -> str:
    """Leave out the lists of tests: a new test need not write the pages anew."""
    return TEST_LINK.sub("", page)


@pytest.mark.parametrize("name", PAGES)
def test_a_generated_page_is_up_to_date(name: str, catalogue: Catalogue) -> None:
    stored = (DOCS / name).read_text(encoding="utf-8")
    assert without_tests(PAGES[name](catalogue)) == without_tests(stored), "run `make docs`"


def test_the_module_tables_of_the_architecture_are_up_to_date() -> None:
    page = modules.PAGE.read_text(encoding="utf-8")
    assert modules.written(page) == page, "run `make docs`"
    folders = {path.parent.relative_to(ROOT).as_posix() for path in ROOT.glob("shared/*/__init__.py")}
    assert [folder for folder in sorted(folders) if f"[{folder}/]" not in page] == []


def test_every_measure_has_clause_reports_rules_indicators_and_tests(catalogue: Catalogue) -> None:
    page = measures(catalogue)  # raises where one is missing
    assert len(catalogue.plan.measures) == 20
    assert all(f"### {measure.id} " in page for measure in catalogue.plan.measures)


def test_a_measure_that_no_test_speaks_of_fails_the_build() -> None:
    with pytest.raises(IncompleteError, match=r"1\.1\.a: no test"):
        measures(Catalogue(tests={"tests/unit/test_nothing.py": "person-hired"}))


def test_an_indicator_of_an_unknown_report_type_fails_the_build() -> None:
    text = PLAN.read_text(encoding="utf-8").replace("enrollment.major-opened", "enrollment.major-begun")
    with pytest.raises(IncompleteError, match=r"1\.1: no such type: enrollment\.major-begun"):
        measures(Catalogue(plan=read_plan(text, "changed.yaml")))


def test_a_refusal_code_that_no_test_speaks_of_fails_the_build() -> None:
    with pytest.raises(IncompleteError, match="bad-checksum: no test"):
        refusals(Catalogue(tests={"tests/unit/test_nothing.py": "person-hired"}))


def test_every_refusal_code_has_both_texts_and_a_fix(catalogue: Catalogue) -> None:
    page = refusals(catalogue)
    for code in catalogue.codes.values():
        assert f"### {code.code}\n" in page
        assert code.fix["zh"], code.code
        assert code.fix["en"], code.code
        assert all(rule.zh and rule.en for rule in code.classes), code.code


def test_every_type_has_its_section(catalogue: Catalogue) -> None:
    for language in LANGUAGES:
        page = service_types(language, catalogue)
        for event in language.events:
            assert f"## {language.service}.{event.type_name}\n" in page


def test_the_contract_keeps_every_rule_number() -> None:
    page = (DOCS / "contract.md").read_text(encoding="utf-8")
    expected = {"A": 19, "B": 16, "C": 14, "D": 16, "E": 27}
    missing = [f"{s}{n}" for s, last in expected.items() for n in range(1, last + 1) if f"**{s}{n}**" not in page]
    assert missing == []


def test_the_contract_names_every_report_type() -> None:
    page = (DOCS / "contract.md").read_text(encoding="utf-8")
    missing = [
        event.type_name for language in LANGUAGES for event in language.events if f"`{event.type_name}`" not in page
    ]
    assert missing == []


def test_the_glossary_and_the_pages_know_no_other_codes(catalogue: Catalogue) -> None:
    named = set(re.findall(r"refusals\.md#([a-z-]+)", "".join(page.read_text(encoding="utf-8") for page in WRITTEN)))
    assert named <= {anchor(code) for code in catalogue.codes}


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(page: Path) -> None:
    broken = []
    for target in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, fragment = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (fragment and fragment not in anchors(file)):
            broken.append(target)
    assert broken == []


def test_every_chapter_of_the_asvs_links_to_what_shows_it() -> None:
    rows = re.findall(r"^\| (V\d+) .*\| (.+) \|$", (ROOT / "docs" / "security.md").read_text(encoding="utf-8"), re.M)
    assert [chapter for chapter, _ in rows] == [f"V{number}" for number in range(1, 15)]
    assert [chapter for chapter, shown_by in rows if not re.search(r"\]\(\.\./tests/\S+\.py\)", shown_by)] == []


def anchors(file: Path) -> set[str]:
    text = FENCE.sub("", file.read_text(encoding="utf-8"))
    headings = re.findall(r"^#{1,6} (.+)$", text, re.MULTILINE)
    return {anchor(heading) for heading in headings} | set(re.findall(r'<a id="([^"]+)">', text))


def test_every_promise_of_security_names_tests_that_are_there() -> None:
    page = (DOCS / "security.md").read_text(encoding="utf-8")
    table = page[page.index("| 承诺 promise |") :].split("\n\n")[0].splitlines()[2:]
    promises = [row for row in table if not row.startswith("| **")]
    for row in promises:
        linked = re.findall(r"\(\.\./(tests/[a-z0-9_/]+\.py)\)((?:[:,] `test_[a-z0-9_]+`)*)", row)
        assert linked, row
        for file, names in linked:
            text = (ROOT / file).read_text(encoding="utf-8")
            missing = [name for name in re.findall(r"test_[a-z0-9_]+", names) if f"def {name}(" not in text]
            assert not missing, (file, missing)
    assert len(promises) > 25


def test_every_make_target_that_a_page_names_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = {name for line in re.findall(r"^([a-z -]+):", makefile, re.MULTILINE) for name in line.split()}
    named = {name for page in WRITTEN for name in re.findall(r"`make ([a-z-]+)", page.read_text(encoding="utf-8"))}
    assert named <= targets


def test_every_target_of_the_makefile_is_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    explained = re.findall(r"^([a-z ]+):.*##", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    names = [name for line in explained for name in line.split()]
    assert [name for name in names if f"`make {name}`" not in readme and name != "help"] == []


def test_every_decision_says_context_decision_consequences_alternatives_and_its_test() -> None:
    headings = ("## Context", "## Decision", "## Consequences", "## Alternatives", "## Kept by")
    for page in sorted(DOCS.glob("decisions/0*.md")):
        text = page.read_text(encoding="utf-8")
        assert [heading for heading in headings if heading not in text] == [], page.name
        assert len(text.splitlines()) <= 60, f"{page.name}: longer than a screen"


def curls(page: str) -> list[dict[str, Any]]:
    """Return the event of each `curl … -d '…'` of a page."""
    return [json.loads(body) for body in re.findall(r"^curl [^\n]* -d '([^']*)'$", page, re.MULTILINE)]


def test_the_hire_of_the_readme_is_understood_and_the_same_in_both_languages() -> None:
    chinese, english = curls((ROOT / "README.md").read_text(encoding="utf-8"))
    assert chinese == english
    understood("recruitment", chinese)


def test_the_wrong_report_of_the_start_page_gets_what_the_page_says() -> None:
    page = (DOCS / "index.md").read_text(encoding="utf-8")
    (wrong,) = curls(page)
    receipt = page[page.index('"status":"invalid"') :].partition("\n]")[0]
    reasons = set(re.findall(r'"code":"([a-z-]+)".*?"pointer":"([^"]+)"', receipt))
    assert reasons == faults("recruitment", wrong)


def test_both_languages_of_the_readme_link_to_the_same_pages_and_name_the_same_commands() -> None:
    chinese, _, english = (ROOT / "README.md").read_text(encoding="utf-8").partition("# English")
    for pattern in (
        r"\]\((docs/[^)#]+\.md|plans|CONTRIBUTING\.md)",
        r"`make ([a-z]+)",
        r"^(?:make|docker|curl) .*?(?=  |$)",
    ):
        assert set(re.findall(pattern, chinese, re.M)) == set(re.findall(pattern, english, re.M)), pattern


def test_the_mapping_of_the_districts_guide_is_one(tmp_path: Path) -> None:
    guide = (DOCS / "for-districts.md").read_text(encoding="utf-8")
    (mapping,) = re.findall(r"^```yaml\n(.*?)^```", guide, re.MULTILINE | re.DOTALL)
    (tmp_path / "mapping.yaml").write_text(mapping, encoding="utf-8")
    assert read_mapping(tmp_path / "mapping.yaml").columns.keys() == {"身份证号", "渠道", "录用日期"}


def test_every_command_of_the_districts_guide_exists() -> None:
    guide = (DOCS / "for-districts.md").read_text(encoding="utf-8") + (ROOT / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"skillplan (?!plan\b)([a-z]+)\b", guide))
    assert named <= get_command(app).commands.keys()  # type: ignore[attr-defined]
    assert named >= {"validate", "publish", "receipts", "statement", "sample"}


def test_the_reports_of_the_districts_guide_are_understood() -> None:
    guide = (DOCS / "for-districts.md").read_text(encoding="utf-8")
    for block in re.findall(r"^```json\n(.*?)^```", guide, re.MULTILINE | re.DOTALL):
        report = json.loads(block)
        if person := report["data"].get("person"):
            person["id_number"], person["name"] = "990000199001010017", "示例甲"
        understood("recruitment", report)
