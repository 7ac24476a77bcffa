"""Says whether Docker can serve the tests, and runs a broker or a database in it, set up as the embedded ones are."""

from __future__ import annotations

import contextlib
import functools
import os
import secrets
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

from docker.errors import DockerException  # type: ignore[import-untyped]
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer

from deploy.local import jars, kafka, postgres
from deploy.local.ports import HOST
from tests.harness import pair
from tests.harness.ports import any_free

KAFKA, POSTGRES = "apache/kafka:4.1.0", "postgres:17"
# On a quiet machine both are up in five seconds.
_PATIENCE = 45.0
_FOR_COMPOSE = (
    KAFKA,
    POSTGRES,
    "python:3.13-slim",
    "node:22-slim",
    "prom/prometheus:v2.53.3",
    "prom/alertmanager:v0.28.1",
    "prometheuscommunity/postgres-exporter:v0.17.1",
)


class DidNotStart(Exception):
    """Docker took the container, and what is in it did not come up in time."""


@functools.cache
def daemon_missing() -> str | None:
    """Say why no container can be started; None when one can."""
    if shutil.which("docker") is None:
        return "no docker client"
    result = _docker("version", "--format", "{{.Server.Version}}")
    return None if result.returncode == 0 else "no Docker daemon answers"


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


def _docker(*arguments: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False, timeout=20)
    except subprocess.TimeoutExpired as error:
        return subprocess.CompletedProcess(error.cmd, 1, "", "")


@contextlib.contextmanager
def running_kafka() -> Iterator[str]:
    """Run a broker; yields its `host:port`."""
    port, controller_port = any_free(2)
    # The same settings; inside, every address is the container's own.
    properties = kafka.broker_properties(port, controller_port, Path("/room/log"))
    container = _container(KAFKA, port)
    # Of the image its Java and its start scripts; the jars are those of an installation, as in compose's own image.
    container.with_volume_mapping(Path(jars.classpath().partition(os.pathsep)[0]).parent, "/opt/kafka/libs", "ro")
    for line in properties.splitlines():
        name, _, value = line.partition("=")
        container.with_env(f"KAFKA_{name.upper().replace('.', '_')}", value)
    container.with_env("KAFKA_LISTENERS", f"PLAINTEXT://0.0.0.0:{port},CONTROLLER://127.0.0.1:{controller_port}")
    container.with_env("KAFKA_HEAP_OPTS", "-Xms256m -Xmx512m")
    container.with_env("KAFKA_JVM_PERFORMANCE_OPTS", "-XX:+UseSerialGC -XX:TieredStopAtLevel=1")
    container.with_env("KAFKA_LOG4J_ROOT_LOGLEVEL", "WARN").with_tmpfs_mount("/room")
    address = f"{HOST}:{port}"
    with _up(container, lambda: kafka.wait_up(address, _PATIENCE)):
        yield address


@contextlib.contextmanager
def running_postgres() -> Iterator[str]:
    """Run a database server; yields its address, as superuser."""
    (port,) = any_free(1)
    password = secrets.token_urlsafe(18)
    settings = {
        **postgres.OPTIONS,
        **pair.FORGETFUL,
        "listen_addresses": "*",
        "unix_socket_directories": "/var/run/postgresql",
        "port": str(port),
    }
    container = _container(POSTGRES, port)
    container.with_env("POSTGRES_PASSWORD", password)
    container.with_env("POSTGRES_INITDB_ARGS", "--locale=C.UTF-8 --encoding=UTF8 --no-sync")
    container.with_tmpfs_mount("/var/lib/postgresql/data")
    container.with_command(["postgres", *(f"-c{name}={value}" for name, value in settings.items())])
    address = postgres.dsn(port, password)
    with _up(container, lambda: postgres.wait_up(address, _PATIENCE)):
        yield address


def _container(image: str, port: int) -> DockerContainer:
    # The container that clears up after a killed run is used where its image is there; none is fetched for it.
    if _missing(testcontainers_config.ryuk_image) is not None:
        testcontainers_config.ryuk_disabled = True
    container = DockerContainer(image)
    container.ports = {f"{port}/tcp": (HOST, port)}  # type: ignore[dict-item]
    return container


@contextlib.contextmanager
def _up(container: DockerContainer, wait: Callable[[], bool]) -> Iterator[None]:
    try:
        container.start()
    except DockerException as error:
        raise DidNotStart(f"{container.image}: {error}") from error
    try:
        if not wait():
            out, err = container.get_logs()
            last = (out + err).decode(errors="replace").strip().splitlines()[-1:]
            raise DidNotStart(f"{container.image} did not answer in {_PATIENCE:.0f} s; its last words: {last}")
        yield
    finally:
        container.stop()
