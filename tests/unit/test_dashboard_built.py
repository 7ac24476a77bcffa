"""The dashboard is built once a change; where it cannot be built, `/` and `make up` report it and all else goes on."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from deploy.local import dashboard
from deploy.local.dashboard import path_with_node
from services.projection.pages import add_pages
from shared.plan.loading import load_plan
from tests.conftest import ROOT


async def _get(app: FastAPI, path: str) -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as client:
        return await client.get(path)


async def test_without_a_built_dashboard_the_page_explains_it_in_both_languages(tmp_path: Path) -> None:
    app = FastAPI()
    add_pages(app, None, tmp_path / "none")
    page = await _get(app, "/")
    assert page.status_code == 200
    assert "看板还没有构建" in page.text
    assert "has not been built" in page.text


async def test_the_map_is_the_one_that_is_set_else_the_built_one(tmp_path: Path) -> None:
    (tmp_path / "map.json").write_text('{"features":["built"]}')
    own = tmp_path / "own.json"
    own.write_text('{"features":["own"]}')
    for outlines, features in ((None, ["built"]), (own, ["own"])):
        app = FastAPI()
        add_pages(app, outlines, tmp_path)
        assert (await _get(app, "/map.json")).json()["features"] == features


@pytest.mark.parametrize("frames", [[], ["https://portal.example", "http://127.0.0.1:9000"]])
async def test_only_pages_that_are_named_may_show_the_dashboard_in_a_frame(tmp_path: Path, frames: list[str]) -> None:
    for name in ("index.html", "docs.html"):
        (tmp_path / name).write_text("<head></head>")
    app = FastAPI(docs_url=None)
    add_pages(app, None, tmp_path, frames)
    page, reference = await _get(app, "/"), await _get(app, "/docs")
    wanted = "frame-ancestors https://portal.example http://127.0.0.1:9000" if frames else "frame-ancestors 'none'"
    assert page.headers["content-security-policy"].endswith(wanted)
    assert ("skillplan-frames" in page.text) is bool(frames)
    assert reference.headers["content-security-policy"].endswith("frame-ancestors 'none'")
    assert "skillplan-frames" not in reference.text


@pytest.mark.parametrize("frames", ["https://a.example; script-src *", "*"])
def test_an_origin_of_frames_adds_nothing_else_to_the_policy(frames: str) -> None:
    command = [sys.executable, "-m", "services.projection", "--show-settings"]
    environment = os.environ | {"SKILLPLAN_FRAMES": frames}
    refused = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert refused.returncode
    assert "SKILLPLAN_FRAMES" in refused.stderr


def test_the_outlines_are_those_of_the_plans_districts(tmp_path: Path) -> None:
    dashboard.write_outlines(tmp_path / "map.json", ROOT / "plans")
    outlines = json.loads((tmp_path / "map.json").read_text())
    plan = load_plan(ROOT / "plans" / "shaoxing-2023-2025.yaml")
    assert {feature["properties"]["code"] for feature in outlines["features"]} == {
        district.code for district in plan.districts if not district.city
    }
    assert (tmp_path / "map.json").stat().st_size < 20_000


def test_without_npm_the_build_fails_with_one_sentence_and_what_was_built_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    npm = programs / "npm"
    npm.write_text("#!/bin/sh\necho 'npm error network no registry' >&2\nexit 1\n")
    npm.chmod(0o755)
    monkeypatch.setattr(dashboard, "path_with_node", lambda: f"{programs}:/usr/bin:/bin")
    static = tmp_path / "static"
    static.mkdir()
    (static / "index.html").write_text("before")
    with pytest.raises(dashboard.NotBuilt) as failure:
        dashboard.build(lambda _: None, static)
    assert "npm ci" in failure.value.zh
    assert "npm ci" in failure.value.en
    assert (static / "index.html").read_text() == "before"


def test_npm_runs_no_script_of_a_package_that_it_installs(tmp_path: Path) -> None:
    """By the settings that lie beside the dashboard's list: whoever runs npm there needs no option for it."""
    package, room = tmp_path / "package", tmp_path / "room"
    for folder in (package, room):
        folder.mkdir()
    mark = tmp_path / "ran"
    package.joinpath("package.json").write_text(
        json.dumps({"name": "package", "version": "1.0.0", "scripts": {"install": f"touch {mark}"}})
    )
    room.joinpath("package.json").write_text(json.dumps({"dependencies": {"package": "file:../package"}}))
    install = ["npm", "install", "--offline", "--no-audit", "--no-fund", "--install-links"]
    environment = {**os.environ, "PATH": path_with_node(), "HOME": str(tmp_path)}
    run = functools.partial(subprocess.run, install, cwd=room, env=environment, check=True, capture_output=True)
    shutil.copy(dashboard.SOURCES / ".npmrc", room)
    run()
    assert (room / "node_modules" / "package" / "package.json").is_file()
    assert not mark.exists()
    (room / ".npmrc").unlink()
    shutil.rmtree(room / "node_modules")
    run()
    assert mark.exists(), "without the settings it would have run"
