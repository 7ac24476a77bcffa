"""Makes the virtual environment from a hashed lock file, again only when the lock changed. Standard library only.

Run by the machine's own Python before anything else is there: `python3 deploy/local/environment.py local|dev`.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
# A lock and the locks that it contains whole.
CONTAINS = {"local": ["local"], "dev": ["dev", "local"]}
_PIP = [str(PYTHON), "-m", "pip", "install", "--disable-pip-version-check", "--progress-bar", "off"]
# A lock is complete, so nothing is resolved.
_LOCKED = ["--require-hashes", "--no-deps", "--requirement"]
_REMINDER = 5.0


def refuse(zh: str, en: str) -> NoReturn:
    """End with one sentence that says what to do."""
    sys.exit(f"\n✗ {zh}\n  {en}")


def lock_file(name: str) -> Path:
    """Return the lock file of this name."""
    return ROOT / f"requirements-{name}.txt"


def stamp(name: str) -> Path:
    """Return the file that says which state of the lock was installed."""
    return VENV / f".installed-{name}"


def digest(name: str) -> str:
    """Return what the lock file is now."""
    return hashlib.sha256(lock_file(name).read_bytes()).hexdigest()


def runs(python: Path) -> bool:
    """Return whether this interpreter starts; a link to one that was removed does not."""
    try:
        return subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def is_current(name: str) -> bool:
    """Return whether this lock is what was installed, and the interpreter still runs."""
    return stamp(name).exists() and stamp(name).read_text() == digest(name) and runs(PYTHON)


def install(name: str) -> None:
    """Install the lock, showing how far it is: with uv, in seconds, and where that cannot be, with pip."""
    lock = lock_file(name)
    total = sum(line[:1].isalnum() for line in lock.read_text().splitlines())
    print(f"安装 Python 依赖(约 {total} 个)  Installing about {total} Python packages", flush=True)
    if VENV.exists() and not runs(PYTHON):
        shutil.rmtree(VENV)
    if not PYTHON.exists():
        venv.create(VENV, with_pip=True, symlinks=True)
    if problem := _with_uv(lock) and _run([*_PIP, *_LOCKED, str(lock)]):
        print(problem, file=sys.stderr)
        if "No space left" in problem:
            refuse("磁盘已满。请腾出约 1 GB 后重试。", "The disk is full. Free about 1 GB and run it again.")
        refuse(
            "依赖未能安装(见上)。请检查网络、代理或软件包镜像设置后重试。",
            "The packages could not be installed (see above). Check network, proxy or package index and run it again.",
        )
    for contained in CONTAINS[name]:
        stamp(contained).write_text(digest(contained))


def _with_uv(lock: Path) -> str:
    """Install by uv, itself from the lock, from the index that pip is set to; return its last output if it failed."""
    (uv,) = re.findall(r"^uv==(?:.*\\\n)+.*\n", lock.read_text(), re.MULTILINE)
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as alone:
        alone.write(uv)
        alone.flush()
        if problem := _run([*_PIP, *_LOCKED, alone.name]):
            return problem
    command = [str(PYTHON), "-m", "pip", "config", "list"]
    output = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    matches = re.findall(r"^\S+\.index-url='(.*)'$", output, re.MULTILINE)
    index = {"UV_DEFAULT_INDEX": matches[0]} if matches else {}
    # Compiled, as pip does it: a dozen processes start at once, and each would compile the same.
    command = [str(VENV / "bin" / "uv"), "pip", "install", "--compile-bytecode", "--python", str(PYTHON)]
    return _run([*command, *_LOCKED, str(lock)], **index)


def _run(command: list[str], **variables: str) -> str:
    """Run it, now and then showing where it is; return its last lines if it failed, else nothing."""
    last: list[str] = []
    printed_at = time.monotonic()
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=variables | os.environ,
    ) as running:
        for line in running.stdout or ():
            last = [*last[-7:], line]
            if time.monotonic() - printed_at > _REMINDER:
                printed_at = time.monotonic()
                print(f"  {line.strip()[:100]}", flush=True)
    return ("".join(last) or f"{command[0]}: {running.returncode}") if running.returncode else ""


def main(name: str) -> None:
    """Bring the environment up to the lock of this name."""
    if sys.version_info < (3, 11):  # noqa: UP036 - this file alone is read by whatever Python there is
        version = f"{sys.executable} {sys.version.split()[0]}"
        refuse(
            f"需要 Python 3.11 以上,而这是 {version}。请安装,或用 PYTHON=<路径> 指明。",
            f"Python 3.11 or later is needed; this is {version}. Install one or name it: PYTHON=<path>.",
        )
    if is_current(name):
        return
    try:
        with (ROOT / ".venv.lock").open("w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)  # two makes at once: the second finds it done
            if not is_current(name):
                install(name)
    except PermissionError as error:
        refuse(
            f"没有权限写 {error.filename}。请在自己可写的文件夹里克隆本仓库。",
            f"No permission to write {error.filename}. Clone the repository into a folder that you may write.",
        )
    except subprocess.CalledProcessError as error:
        refuse(
            f"无法创建虚拟环境(Debian/Ubuntu 请先 apt install python3-venv):{error}",
            f"The virtual environment could not be made (on Debian/Ubuntu: apt install python3-venv): {error}",
        )
    except OSError as error:
        refuse(f"无法创建虚拟环境:{error}", f"The virtual environment could not be made: {error}")


if __name__ == "__main__":
    main(sys.argv[1])
