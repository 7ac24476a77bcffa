"""Gets Prometheus and Alertmanager: the machine's own, else Debian's packages, unpacked in the project without root."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from deploy.local.refusal import Refusal

CACHE = Path(__file__).resolve().parents[2] / ".cache" / "prometheus"
_PACKAGES = ("prometheus", "prometheus-alertmanager")
# Debian's Alertmanager opens its template by an absolute path; this one is as long, and below its working folder.
_TEMPLATES = b"/usr/share/prometheus/alertmanager", b"usr/share//prometheus/alertmanager"
# What we call it, and its other name in Debian.
_PROGRAMS = {
    "prometheus": "prometheus",
    "promtool": "promtool",
    "alertmanager": "prometheus-alertmanager",
    "amtool": "amtool",
}


def programs() -> dict[str, Path]:
    """Return where `prometheus`, `promtool`, `alertmanager` and `amtool` are; fetch them when they are missing."""
    found = {name: _find(name, other) for name, other in _PROGRAMS.items()}
    if None in found.values():
        _fetch()
        found = {name: _find(name, other) for name, other in _PROGRAMS.items()}
    if missing := [name for name, path in found.items() if path is None]:
        raise _not_there(f"{', '.join(missing)}: ?")
    return {name: path for name, path in found.items() if path is not None}


def home(program: Path) -> Path:
    """Return the folder to start a program in: below it is what its package brought."""
    return program.parents[2]


def _find(name: str, other: str) -> Path | None:
    """Look on PATH first, then among what was fetched; in Debian `alertmanager` alone may be something else."""
    for called in (name, other):
        if path := shutil.which(called) or shutil.which(called, path=CACHE / "usr" / "bin"):
            return Path(path)
    return None


def _fetch() -> None:
    if shutil.which("apt-get") is None:
        raise _not_there("apt-get: ?")
    CACHE.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE.parent, prefix="fetch-") as name:
        room = Path(name)
        download = ["apt-get", "-q", "download", *_PACKAGES]
        if _run(download, room).returncode:
            # No lists yet, as in a fresh image: into folders of our own, so that nobody has to be root. apt checks what
            # it gets against the archive's signature.
            for part in ("lists/partial", "archives/partial"):
                (room / part).mkdir(parents=True)
            own = ["-o", f"Dir::State::lists={room}/lists", "-o", f"Dir::Cache={room}"]
            _must(["apt-get", "-q", *own, "update"], room)
            _must([*download, *own], room)
        for package in room.glob("*.deb"):
            _must(["dpkg-deb", "-x", str(package), str(room / "ready")], room)
        alertmanager = room / "ready" / "usr" / "bin" / _PROGRAMS["alertmanager"]
        alertmanager.write_bytes(alertmanager.read_bytes().replace(*_TEMPLATES))
        shutil.rmtree(CACHE, ignore_errors=True)
        (room / "ready").rename(CACHE)


def _run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=folder, env={**os.environ, "LC_ALL": "C"}, capture_output=True, text=True, check=False
    )


def _must(command: list[str], folder: Path) -> None:
    done = _run(command, folder)
    if done.returncode:
        raise _not_there((done.stderr.strip().splitlines() or ["?"])[-1])


def _not_there(why: str) -> Refusal:
    return Refusal(
        f"没有 Prometheus 与 Alertmanager,也未能取得 Debian 软件包({why})。请安装它们,或检查网络后重试。",
        f"There is no Prometheus and Alertmanager, and Debian's packages could not be got ({why}). Install them, or "
        "check the network and try again.",
    )
