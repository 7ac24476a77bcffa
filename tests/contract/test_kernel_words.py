"""The kernel has no domain word: what shared/ says in code, comments, texts and SQL holds for any plan of any area."""

import re
from typing import Final

from services.catalogue import DOMAIN_SERVICES
from tests.conftest import ROOT

# As a word, or as a part of a name (`major_code`, `CreditLine`): what policies count and decide on, who decides, where.
WORDS: Final = (
    "allowance", "apprentice", "award", "bonus", "certification", "city", "contest", "course", "credit line",
    "creditline", "demand", "diploma", "employment", "enterprise", "fair", "graduate", "hire", "hired", "hiring",
    "honour", "industries", "industry", "major", "majors", "occupation", "office", "province", "pupil",
    "rank", "ranks", "school", "shanghai", "shaoxing", "skill level", "student", "subsidies", "training", "vacancy",
    "wage", "市", "县", "专业", "补贴", "学校", "学生", "学徒", "技能", "竞赛", "绍兴", "计划办公室",
)  # fmt: skip
SERVICES: Final = tuple(name for name in DOMAIN_SERVICES if name != "planning")  # to plan is the kernel's word, too
# A policy's parameters stand in the plan file, which is checked as one document.
OF_THE_PLAN: Final = "shared/plan/parameters.py"
# What is contract: a setting, a code, a field of the plan file with its examples and description, the time zone.
CONTRACT: Final = re.compile(
    r'"Asia/Shanghai"|"only-the-city"'
    r"|city_key|CITY_KEY|[Cc]ity(\'s)? key|\bcity: (Name|StrictBool)\b|`city`|the city itself"
    r'|examples=\["[a-z.-]+"\]'
)


def test_the_kernel_has_no_word_of_the_domain() -> None:
    assert [
        hit
        for file in sorted((ROOT / "shared").rglob("*"))
        if file.suffix in (".py", ".sql")
        for hit in words_in(file.relative_to(ROOT).as_posix(), file.read_text(encoding="utf-8"))
    ] == []


def test_a_word_of_the_domain_is_found_however_it_is_written() -> None:
    texts = ("school: Organisation", "class CreditLine:", "major_code", "-- of a student", "subsidy.events", "本市补贴")
    assert [bool(list(words_in("shared/x.py", text))) for text in texts] == [True] * len(texts)
    assert not list(words_in("shared/x.py", "the majority of fairly officious schooling of the frankly graded"))


def words_in(path: str, text: str) -> list[str]:
    """Return every line with a word of the domain as `path:line: word`."""
    if path == OF_THE_PLAN:
        return []
    return [
        f"{path}:{number}: {match[0]}"
        for number, line in enumerate(text.splitlines(), 1)
        if (match := _WORD.search(_separated(CONTRACT.sub("", line))))
    ]


def _separated(line: str) -> str:
    """Part the words of names: `creditLine` and `credit_line` become `credit line`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])|_", " ", line).lower()


_WORD: Final = re.compile(
    "|".join(re.escape(w) if w[0] > "z" else rf"\b{re.escape(w)}s?\b" for w in (*WORDS, *SERVICES))
)
