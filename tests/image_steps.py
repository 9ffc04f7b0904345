"""`make image-steps`: does what the Dockerfile says, step by step, in a clean folder, and serves what comes of it.

For machines without a container engine. The steps are read from the Dockerfile itself, so the two cannot differ. A
fresh virtual environment of this machine's Python stands for the base image. The result is then served by the
Dockerfile's own CMD, without a network and on a file system that cannot be written, where the machine lets us take
both away, and asked for /memo and by the Dockerfile's own health check; then it gets SIGTERM.

What this does not show: the base image itself, its Debian packages, the layers, the user that the server runs as.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
import venv
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pathspec
from dockerfile_parse import DockerfileParser

ROOT = Path(__file__).resolve().parent.parent
# In a namespace of its own: loopback only, and every file system it can see read only.
ALONE = ["unshare", "--net", "--mount", "--"]
TAKE_AWAY = "mount --make-rprivate / && mount -o remount,bind,ro / && ip link set lo up"


class Step(NamedTuple):
    """One instruction of the Dockerfile."""

    instruction: str
    value: str


def steps(dockerfile: Path) -> list[Step]:
    found = DockerfileParser(path=str(dockerfile)).structure
    return [Step(step["instruction"], step["value"]) for step in found if step["instruction"] != "COMMENT"]


def only(found: list[Step], instruction: str) -> str:
    """The value of the one step of its kind."""
    (value,) = (step.value for step in found if step.instruction == instruction)
    return value


def health_check(found: list[Step]) -> list[str]:
    command: list[str] = json.loads(only(found, "HEALTHCHECK").split(" CMD ", 1)[1])
    return command


def context(root: Path) -> Iterator[Path]:
    """The files that .dockerignore lets into an image, as paths below `root`. Patterns are anchored, as Docker's."""
    lines = [line.strip() for line in (root / ".dockerignore").read_text(encoding="utf-8").splitlines()]
    patterns = [line if line.startswith(("**", "!", "/")) else f"/{line}" for line in lines if line and line[0] != "#"]
    ignored = pathspec.PathSpec.from_lines("gitignore", patterns)
    for folder, folders, files in os.walk(root):
        here = Path(folder).relative_to(root)
        folders[:] = [name for name in folders if not ignored.match_file(f"{here / name}/")]
        yield from (here / name for name in files if not ignored.match_file(str(here / name)))


def execute(found: list[Step], root: Path, folder: Path) -> dict[str, str]:
    """Does the steps in `folder`; gives the environment that they leave. Raises CalledProcessError where one fails."""
    venv.create(folder / "python", with_pip=True)
    environment = {
        "PATH": f"{folder / 'python' / 'bin'}:{os.environ['PATH']}",
        "HOME": str(folder),
        **{name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_", "LANG"))},
    }
    work = folder
    for number, step in enumerate(found, 1):
        print(f"[{number}/{len(found)}] {step.instruction} {re.sub(' +', ' ', step.value)}"[:150], flush=True)
        if step.instruction == "WORKDIR":
            work = folder / step.value.lstrip("/")
            work.mkdir(parents=True)
        elif step.instruction == "COPY":
            source, target = step.value.split()
            for path in context(root):
                if source == "." or path == Path(source):
                    (work / target / path).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy2(root / path, work / target / path)
        elif step.instruction == "RUN":
            subprocess.run(["/bin/sh", "-c", step.value], cwd=work, env=environment, check=True)
        elif step.instruction == "ENV":
            environment.update(dict(pair.split("=", 1) for pair in shlex.split(step.value)))
        elif step.instruction not in {"FROM", "USER", "EXPOSE", "HEALTHCHECK", "STOPSIGNAL", "CMD"}:
            raise ValueError(f"image_steps.py does not know how to do {step.instruction}")
    return environment


def ask(found: list[Step], work: Path, environment: dict[str, str]) -> None:
    """Serves and asks. Raises where the server does not start, answer, pass its health check or end in time."""
    started = time.monotonic()
    server = subprocess.Popen(json.loads(only(found, "CMD")), cwd=work, env=environment, stdout=subprocess.DEVNULL)
    try:
        while subprocess.run(health_check(found), cwd=work, env=environment, capture_output=True).returncode:
            if server.poll() is not None or time.monotonic() - started > 60:
                raise RuntimeError("the server is not healthy after a minute, or ended")
            time.sleep(0.3)
        print(f"healthy after {time.monotonic() - started:.1f} s")
        for path, expected in (("/memo", "are about getting a run done"), ("/signals.json?sql=select+41%2B1", "42")):
            with urllib.request.urlopen(f"http://127.0.0.1:8001{path}", timeout=20) as answer:
                text = answer.read().decode()
            if expected not in text:
                raise RuntimeError(f"{path} came without “{expected}”")
            print(f"{path}: {answer.status}, {len(text):,} characters")
    finally:
        stopped = time.monotonic()
        server.send_signal(getattr(signal, only(found, "STOPSIGNAL")))
        code = server.wait(20)
    print(f"ended {time.monotonic() - stopped:.1f} s after {only(found, 'STOPSIGNAL')}, exit code {code}")
    if code:
        raise RuntimeError(f"the server ended with {code}")


def can_be_alone() -> bool:
    with suppress(OSError):
        return subprocess.run([*ALONE, "sh", "-c", TAKE_AWAY], capture_output=True).returncode == 0
    return False


def main() -> None:
    if sys.argv[1:2] == ["inside"]:
        work, environment = Path(sys.argv[2]), json.loads(sys.argv[3])
        with suppress(OSError):
            (work / "written").touch()
            print("note: the file system could be written")
        ask(steps(work / "Dockerfile"), work, environment)
        return
    found = steps(ROOT / "Dockerfile")
    print(f"the base image {only(found, 'FROM')} is not here: Python {platform.python_version()} stands for it")
    with tempfile.TemporaryDirectory(prefix="image-") as name:
        folder = Path(name)
        environment = execute(found, ROOT, folder)
        work = folder / only(found, "WORKDIR").lstrip("/")
        # .dockerignore keeps it out; what is served is asked as it says.
        shutil.copy(ROOT / "Dockerfile", work)
        inside = [sys.executable, "-m", "tests.image_steps", "inside", str(work), json.dumps(environment)]
        if can_be_alone():
            print("served with the network off and all files read only")
            inside = [*ALONE, "sh", "-c", f'{TAKE_AWAY} && exec "$@"', "sh", *inside]
        else:
            print("note: this machine does not let us take the network away (unshare --net), so it stays on")
        subprocess.run(inside, cwd=ROOT, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}, check=True)
    print("all steps done")


if __name__ == "__main__":
    main()
