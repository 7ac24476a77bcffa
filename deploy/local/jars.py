"""Gets the broker's jars from the package registry and lets none run whose SHA-256 is not on the committed list."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from deploy.local.refusal import LocalError

KAFKA = "4.1.2"
_JACKSON = "2.21.6"
# The broker, and in place of what it comes with: parts that open advisories name (docs/security.md). Each is resolved
# by itself, since the versions that a part's own parent names would win over those of Kafka.
ENDPOINTS = (
    f"org.apache.kafka:kafka_2.13:{KAFKA}+org.slf4j:slf4j-simple:1.7.36",
    "at.yawk.lz4:lz4-java:1.11.2",
    "com.github.luben:zstd-jni:1.5.7-17",
    "org.apache.logging.log4j:log4j-core:2.26.1",
    "+".join(
        f"com.fasterxml.jackson.{part}:{_JACKSON}"
        for part in (
            "core:jackson-databind",
            "core:jackson-core",
            "dataformat:jackson-dataformat-csv",
            "dataformat:jackson-dataformat-yaml",
            "datatype:jackson-datatype-jdk8",
        )
    ),
)
LIST = Path(__file__).with_name("jars.sha256")
# Shared by every state folder of a checkout, as the virtual environment is: 43 MB once.
CACHE = Path(__file__).resolve().parents[2] / ".cache" / f"kafka-{KAFKA}"

_RESOLVE = "import sys, jgo; [jgo.build(endpoint, cache_dir=sys.argv[1]) for endpoint in sys.argv[2:]]"


def listed(path: Path = LIST) -> dict[str, str]:
    """Read the committed list: file name → SHA-256."""
    lines = path.read_text(encoding="ascii").splitlines()
    return {name: digest for digest, name in (line.split() for line in lines)}


def unlike_the_list(folder: Path, expected: dict[str, str]) -> list[str]:
    """Name the jars of the folder that are missing or are not what the list says."""
    wrong = []
    for name, digest in expected.items():
        try:
            with (folder / name).open("rb") as jar:
                actual = hashlib.file_digest(jar, "sha256").hexdigest()
        except FileNotFoundError:
            actual = ""
        if actual != digest:
            wrong.append(name)
    return wrong


def classpath(
    folder: Path = CACHE,
    expected: dict[str, str] | None = None,
    fetch: Callable[[Path, dict[str, str]], None] | None = None,
) -> str:
    """Return the class path of exactly the listed jars, each checked just now; fetch them when they are not there.

    A jar that was cut short or changed on disk is fetched anew once. What the registry then still gives differently is
    refused: it is not the broker that was tried.
    """
    expected = listed() if expected is None else expected
    if unlike_the_list(folder, expected):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with folder.with_name(f"{folder.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # of two at once the second finds them there, and takes none from a broker
            if unlike_the_list(folder, expected):
                (fetch or _fetch)(folder, expected)
        wrong = unlike_the_list(folder, expected)
        if wrong:
            names = ", ".join(wrong[:3])
            raise LocalError(
                f"{folder} 中的文件与校验清单不符,不予运行:{names}。请删除该文件夹后重试;若仍不符,请勿使用并报告。",
                f"Not what the checksum list says, so not run: {names} in {folder}. Delete the folder and try again; "
                "if it is still so, do not use it and report it.",
            )
    return os.pathsep.join(str(folder / name) for name in expected)


def _fetch(folder: Path, expected: dict[str, str]) -> None:
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="fetch-") as room:
        environment = {**os.environ, "M2_REPO": f"{room}/m2", "XDG_RUNTIME_DIR": room, "NO_COLOR": "1"}
        done = subprocess.run(
            [sys.executable, "-c", _RESOLVE, f"{room}/jgo", *ENDPOINTS],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["?"])[-1]
            raise LocalError(
                f"无法从软件包仓库取得 Kafka({last})。请检查网络或代理后重试。",
                f"Could not get Kafka from the package registry ({last}). Check the network or proxy and try again.",
            )
        ready = Path(room) / "ready"
        ready.mkdir()
        for jar in Path(room, "jgo").rglob("*.jar"):
            if jar.name in expected:
                shutil.move(jar, ready / jar.name)
        shutil.rmtree(folder, ignore_errors=True)
        ready.rename(folder)


if __name__ == "__main__":  # for the broker's image: python -m deploy.local.jars FOLDER
    try:
        classpath(Path(sys.argv[1]))
    except LocalError as error:
        sys.exit(f"{error.zh}\n{error.en}")
