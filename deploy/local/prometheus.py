"""Gets Prometheus and Alertmanager: the machine's own, else Debian's packages, unpacked in the project without root."""

from __future__ import annotations

import shutil
from pathlib import Path

from deploy.local import debian
from deploy.local.refusal import LocalError

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
    programs = {name: _find(name, other) for name, other in _PROGRAMS.items()}
    if None in programs.values():
        _fetch()
        programs = {name: _find(name, other) for name, other in _PROGRAMS.items()}
    if missing := [name for name, path in programs.items() if path is None]:
        raise _not_there(f"{', '.join(missing)}: ?")
    return {name: path for name, path in programs.items() if path is not None}


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
    try:
        debian.fetch(_PACKAGES, CACHE, _amend)
    except debian.NotFetchedError as error:
        raise _not_there(str(error)) from error


def _amend(unpacked: Path) -> None:
    alertmanager = unpacked / "usr" / "bin" / _PROGRAMS["alertmanager"]
    alertmanager.write_bytes(alertmanager.read_bytes().replace(*_TEMPLATES))


def _not_there(why: str) -> LocalError:
    return LocalError(
        f"没有 Prometheus 与 Alertmanager,也未能取得 Debian 软件包({why})。请安装它们,或检查网络后重试。",
        f"There is no Prometheus and Alertmanager, and Debian's packages could not be got ({why}). Install them, or "
        "check the network and try again.",
    )
