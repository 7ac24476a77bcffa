"""Says whether Docker can serve the tests, and starts the pair of servers in it."""

from __future__ import annotations

import functools
import shutil
import subprocess

KAFKA, POSTGRES = "apache/kafka:4.1.0", "postgres:17"
_FOR_COMPOSE = (
    KAFKA,
    POSTGRES,
    "python:3.13-slim",
    "node:22-slim",
    "prom/prometheus:v2.53.3",
    "prom/alertmanager:v0.28.1",
    "prometheuscommunity/postgres-exporter:v0.17.1",
)


@functools.cache
def daemon_missing() -> str | None:
    """Say why no container can be started; None when one can."""
    if shutil.which("docker") is None:
        return "no docker client"
    told = _docker("version", "--format", "{{.Server.Version}}")
    return None if told.returncode == 0 else "no Docker daemon answers"


@functools.cache
def pair_missing() -> str | None:
    """Say why the pair cannot run in Docker."""
    return daemon_missing() or _missing(KAFKA, POSTGRES)


@functools.cache
def compose_missing() -> str | None:
    """Say why the stack of docker-compose.yml cannot run."""
    if daemon_missing() is not None:
        return daemon_missing()
    if _docker("compose", "version").returncode:
        return "no docker compose"
    return _missing(*_FOR_COMPOSE)


def _missing(*images: str) -> str | None:
    # Not pulled here: a test run asks no registry for what the machine was not given.
    lacking = [image for image in images if _docker("image", "inspect", image).returncode]
    return f"images not here: {', '.join(lacking)}" if lacking else None


def _docker(*words: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(["docker", *words], capture_output=True, text=True, check=False, timeout=20)
    except subprocess.TimeoutExpired as error:
        return subprocess.CompletedProcess(error.cmd, 1, "", "")
