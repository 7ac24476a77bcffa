"""Makes the virtual environment from a hashed lock file, again only when the lock changed. Standard library only.

Run by the machine's own Python before anything else is there: `python3 deploy/local/environment.py local|dev`.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import sys
import time
import venv
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
# A lock and the locks that it contains whole.
CONTAINS = {"local": ["local"], "dev": ["dev", "local"]}
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
    """Tell whether this interpreter starts; a link to one that was removed does not."""
    try:
        return subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def is_current(name: str) -> bool:
    """Tell whether this lock is what was installed, and the interpreter still runs."""
    return stamp(name).exists() and stamp(name).read_text() == digest(name) and runs(PYTHON)


def install(name: str) -> None:
    """Install the lock, showing how far it is."""
    total = sum(line[:1].isalnum() for line in lock_file(name).read_text().splitlines())
    print(f"安装 Python 依赖(约 {total} 个)  Installing about {total} Python packages", flush=True)
    if VENV.exists() and not runs(PYTHON):
        shutil.rmtree(VENV)
    if not PYTHON.exists():
        venv.create(VENV, with_pip=True, symlinks=True)
    # The lock is complete, so pip has nothing to resolve.
    command = [str(PYTHON), "-m", "pip", "install", "--require-hashes", "--no-deps", "--disable-pip-version-check"]
    command += ["--progress-bar", "off", "-r", str(lock_file(name))]
    last: list[str] = []
    seen = 0
    shown = time.monotonic()
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as pip:
        for line in pip.stdout or ():
            last = [*last[-7:], line]
            seen += line.startswith(("Collecting ", "Requirement already satisfied"))
            writing = line.startswith("Installing collected")
            text = f"  {seen}/{total}{' 写入文件 writing files' if writing else ''}"
            if sys.stdout.isatty():
                print(f"\r{text}", end="", flush=True)
            elif writing or time.monotonic() - shown > _REMINDER:
                shown = time.monotonic()
                print(text, flush=True)
    if sys.stdout.isatty():
        print()
    if pip.returncode:
        print("".join(last), file=sys.stderr)
        if any("No space left" in line for line in last):
            refuse("磁盘已满。请腾出约 1 GB 后重试。", "The disk is full. Free about 1 GB and run it again.")
        refuse(
            "依赖未能安装(见上)。请检查网络、代理或软件包镜像设置后重试。",
            "The packages could not be installed (see above). Check network, proxy or package index and run it again.",
        )
    for contained in CONTAINS[name]:
        stamp(contained).write_text(digest(contained))


def main(name: str) -> None:
    """Bring the environment up to the lock of this name."""
    if sys.version_info < (3, 11):  # noqa: UP036 - this file alone is read by whatever Python there is
        found = f"{sys.executable} {sys.version.split()[0]}"
        refuse(
            f"需要 Python 3.11 以上,而这是 {found}。请安装,或用 PYTHON=<路径> 指明。",
            f"Python 3.11 or later is needed; this is {found}. Install one or name it: PYTHON=<path>.",
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
