"""Every command that the pages for operators name is run by a test, or stands here with why none can run it.

A new command on one of these pages fails until it is run: in a block for a shell of operations.md, alerts.md or
planning.md by itself (test_operations.py), on Docker by `documented(…)` in test_compose.py, else as `RUN` says.
"""

from __future__ import annotations

import re
from typing import Final

from tests.conftest import ROOT
from tests.e2e.test_operations import commands

_COMPOSE: Final = "tests/e2e/test_compose.py"
_BACKUP: Final = "tests/e2e/test_backup.py"
_OPERATIONS: Final = "tests/e2e/test_operations.py"
_CITIES: Final = "tests/bench/cities.py"
_KUBERNETES: Final = ".venv/bin/python -m deploy.kubernetes"
_CITY: Final = "deploy/kubernetes/cities/shaoxing.yaml"
# Which file runs it, and by which words.
RUN: Final = {
    "make up": ("tests/e2e/conftest.py", 'make(folder, "up")'),
    "make venv-local": ("tests/e2e/conftest.py", 'make(folder, "up")'),  # before any other target
    "make logs SERVICE=<服务>": (_OPERATIONS, "make logs SERVICE=subsidy"),
    "make stop SERVICE=subsidy": (_OPERATIONS, "make stop SERVICE=subsidy"),
    "make start SERVICE=subsidy": (_OPERATIONS, "make start SERVICE=subsidy"),
    "make uninstall CONFIRM=<状态文件夹名>": ("tests/integration/test_local_up.py", '"uninstall", CONFIRM='),
    "make backup": (_BACKUP, 'make(state, "backup")'),
    "make backup RAW_HOURS=24": (_OPERATIONS, "make backup RAW_HOURS=24"),
    "make restore": (_BACKUP, '"restore", FROM='),
    "make restore FROM=<文件夹 folder>": (_BACKUP, '"restore", FROM='),
    "make rebuild ACCEPT=<代码 code>": (_OPERATIONS, "make rebuild ACCEPT="),
    'make sql SERVICE=recruitment SQL="…"': (_OPERATIONS, "make sql SERVICE=recruitment SQL="),
    'make keys ARGS="rotate-service recruitment"': (_BACKUP, "rotate-service recruitment"),
    "bin/skillplan": (_OPERATIONS, '"bin" / "skillplan"'),
    "bin/skillplan admin …": (_OPERATIONS, "def admin("),
    "docker compose run --rm tools admin …": (_COMPOSE, '"tools", "admin", "log"'),
    'docker compose run --rm tools sql recruitment "…"': (_COMPOSE, '"tools", "sql", "recruitment"'),
    "docker compose run --rm --no-deps databases deploy.operations.compose district 330681": (
        _COMPOSE, '"deploy.operations.compose", "district"',
    ),
    "docker inspect -f '{{json .State.Health}}' skillplan-recruitment-worker-1": (_COMPOSE, '"inspect", *ids]'),
    "docker compose run --rm --no-deps projection-projector services.projection recount": (
        _COMPOSE, '"services.projection", "recount"',
    ),
    "docker compose down": (_COMPOSE, '"down", "-v"'),
    "docker compose -p ningbo": (_COMPOSE, '["docker", "compose", "-p", self.name'),
    "docker build -f deploy/Dockerfile --target skillplan -t <仓库 registry>/skillplan:<版本 version> .": (
        _COMPOSE, '"--profile tools build"',
    ),
    "prometheus --config.file=\"$STATE\"/prometheus/prometheus.yml": (
        "tests/integration/test_alerts.py", '"prometheus.yml")',
    ),
    "python -m services.<服务> recover": ("tests/integration/test_restored.py", '["recover"]'),
    "python -m services.<服务> migrate": ("tests/harness/databases.py", '["migrate"]'),
    "python -m deploy.kafka.topics": ("deploy/operations/preparing.py", "deploy.kafka.topics"),
    ".venv/bin/python -m deploy.cluster render hosts.yaml secrets/ out/": (
        "tests/contract/test_cluster.py", 'app(["render"',
    ),
    ".venv/bin/python -m deploy.cluster prepare hosts.yaml secrets/": (
        "tests/harness/hosts.py", '"deploy.cluster", "prepare"',
    ),
    ".venv/bin/python -m deploy.secrets.keys add --role planner --prefix /districts/330600/ --label 计划办公室": (
        "tests/unit/test_keys.py", '"add", "--role"',
    ),
    "make city": (_CITIES, '"city", NAME='),
    "make city NAME=ningbo PLAN=plans/ningbo-2024-2026.yaml": (_CITIES, '"city", NAME='),
    f"{_KUBERNETES} secrets {_CITY} ~/shaoxing-secrets > secrets.yaml": (
        "tests/contract/test_kubernetes.py", "secret_manifests(",
    ),
    f"{_KUBERNETES} render {_CITY} shaoxing/": ("tests/contract/test_kubernetes.py", "write("),
}  # fmt: skip
# What no test can run, by how it begins, and why.
NOWHERE: Final = {
    "docker compose --profile ops up": "Grafana's image is not here; test_grafana.py reads its dashboard",
    "crontab -e": "an editor; what it is to run is a command of this page",
    "install ": "makes folders on a host and puts files there",
    "make sbom": "fetches a tool of its own",
    "make faults": "takes an hour or two; docs/faults.md is what it wrote",
    "make bench": "takes an hour; docs/performance.md is what it wrote",
    "kubectl ": "needs a cluster with nodes; the manifests are checked in test_kubernetes.py",
    "systemctl ": "needs systemd as the first process; tests/faults/hosts.py runs what the units run",
    "sysctl --system": "changes this machine",
    "apt-get install ": "changes this machine; tests/harness/hosts.py takes the same packages apart",
    "patronictl reinit": "tests/faults/hosts.py has no standby that was away for so long",
    ".venv/bin/python -m deploy.cluster jars": "fetches what `make up` has fetched",
    "make status CITY=": "a second city on the tests' installation costs half a minute; by hand, and in the bench",
    "make uninstall CITY=": "the same",
    "make backup CITY=": "the same",
}
_BEGINS: Final = re.compile(
    r"(make|docker|bin/skillplan|python -m|\.venv/bin/python|kubectl|systemctl|sysctl|apt-get|patronictl|crontab"
    r"|install|prometheus|tail|curl|psql)( |$)"
)


def _named(page: str) -> list[str]:
    """Return what a page names to be typed: lines of blocks for a shell, without remarks, and code in its text."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    fences = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
    blocks = [block for language, block in fences.findall(text) if language in ("sh", "bash", "console")]
    lines = [re.sub(r"\s+# .*", "", line).strip() for block in blocks for line in block.splitlines()]
    code = re.findall(r"`([^`\n]+)`", fences.sub("", text))
    return list(dict.fromkeys(each for each in lines + code if _BEGINS.match(each) and each != "make"))


def test_every_command_of_the_pages_for_operators_is_run_by_a_test() -> None:
    composed = (ROOT / _COMPOSE).read_text(encoding="utf-8")
    documented = re.findall(r'documented\(\s*f?"([^"{]+)', composed)
    assert len(documented) > 15
    typed = {line.removesuffix(" || true") for line in commands() if not line.startswith("docker ")}
    on_pages = [each.removesuffix(" || true") for page in ("operations.md", "production.md") for each in _named(page)]
    nobody = [
        command
        for command in on_pages
        if command not in RUN
        and not any(f"{each} ".startswith(f"{command} ") for each in typed)
        and not (command.startswith("docker ") and any(text in command for text in documented))
        and not command.startswith(tuple(NOWHERE))
    ]
    assert nobody == []
    assert [command for command in RUN if command not in on_pages] == [], "no page names it any more"
    assert [begin for begin in NOWHERE if not any(each.startswith(begin) for each in on_pages)] == []


def test_what_is_said_to_run_a_command_has_it() -> None:
    missing = [
        (command, file)
        for command, (file, line) in RUN.items()
        if line not in (ROOT / file).read_text(encoding="utf-8")
    ]
    assert missing == []
