"""The broker's jars: only what the committed list says is run."""

from __future__ import annotations

import hashlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from deploy.local import jars
from deploy.local.refusal import LocalError

GOOD, BAD = b"a broker", b"something else"
EXPECTED = {"kafka.jar": hashlib.sha256(GOOD).hexdigest()}


def put(folder: Path, content: bytes) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "kafka.jar").write_bytes(content)


def test_a_listed_jar_is_run_without_asking_the_registry(tmp_path: Path) -> None:
    put(tmp_path, GOOD)
    assert jars.classpath(tmp_path, EXPECTED, lambda *_: pytest.fail("fetched")) == str(tmp_path / "kafka.jar")


def test_a_jar_nobody_listed_is_not_run(tmp_path: Path) -> None:
    put(tmp_path, GOOD)
    (tmp_path / "stranger.jar").write_bytes(BAD)
    assert "stranger" not in jars.classpath(tmp_path, EXPECTED)


def test_a_damaged_jar_is_fetched_again(tmp_path: Path) -> None:
    put(tmp_path, GOOD[:3])
    assert jars.classpath(tmp_path, EXPECTED, lambda folder, _: put(folder, GOOD)).endswith("kafka.jar")


def test_of_two_at_once_the_second_takes_what_the_first_has_fetched(tmp_path: Path) -> None:
    """It would remove the jars from under the broker that the first has started by then."""
    folder, fetched, began = tmp_path / "jars", list[int](), threading.Barrier(2)

    def fetch(folder: Path, _: dict[str, str]) -> None:
        time.sleep(0.2)  # the other has seen that they are missing
        put(folder, GOOD)
        fetched.append(1)

    def path_of_one() -> str:
        began.wait()
        return jars.classpath(folder, EXPECTED, fetch)

    with ThreadPoolExecutor(2) as apart:
        assert {each.result() for each in [apart.submit(path_of_one), apart.submit(path_of_one)]} == {
            str(folder / "kafka.jar")
        }
    assert len(fetched) == 1


def test_a_jar_that_the_registry_gives_differently_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match=r"kafka\.jar") as refused:
        jars.classpath(tmp_path, EXPECTED, lambda folder, _: put(folder, BAD))
    assert "不予运行" in refused.value.zh
    assert "not run" in refused.value.en


def test_the_list_names_the_broker_and_its_logger_once() -> None:
    listed = jars.listed()
    assert "kafka_2.13-4.1.2.jar" in listed
    assert "slf4j-simple-1.7.36.jar" in listed
    assert len(listed) == 46
