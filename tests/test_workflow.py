""".github/workflows/refresh.yml, read as a runner reads it: every command exists, no secret is printed, and the raw
store leaves the machine only encrypted."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from typing import Any

import click
import pytest
import yaml

from flywheel.cli import main
from flywheel.collect.runner import SECRET_VARIABLES
from flywheel.refresh import EXIT_UNSOUND, OWN
from tests.conftest import ROOT

PATH = ROOT / ".github" / "workflows" / "refresh.yml"
WORKFLOW: dict[str, Any] = yaml.safe_load(PATH.read_text(encoding="utf-8"))
# YAML 1.1 reads the bare key `on` as true.
TRIGGERS: dict[str, Any] = WORKFLOW[True]  # type: ignore[index]
JOBS: dict[str, Any] = WORKFLOW["jobs"]
PRIVATE = ("store.db", "store.tar.gz", "author.key", ".refresh")


def steps() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, job in JOBS.items():
        for step in job["steps"]:
            yield name, step


def scripts() -> Iterator[tuple[str, str]]:
    for job, step in steps():
        if "run" in step:
            yield f"{job}: {step['name']}", step["run"]


def commands(script: str) -> Iterator[list[str]]:
    """The words of every call of `flywheel` in a script."""
    joined = script.replace("\\\n", " ")
    for found in re.finditer(r"(?:^|[\s/])flywheel\s+([^\n|;&]*)", joined):
        yield found[1].split()


def test_it_runs_every_week_and_by_hand_one_at_a_time() -> None:
    assert set(TRIGGERS) == {"schedule", "workflow_dispatch"}
    (schedule,) = TRIGGERS["schedule"]
    minute, hour, day, month, weekday = schedule["cron"].split()
    assert (day, month) == ("*", "*") and weekday.isdigit() and minute.isdigit() and hour.isdigit()
    assert WORKFLOW["concurrency"] == {"group": "refresh", "cancel-in-progress": False}
    assert all(job["timeout-minutes"] > 0 for job in JOBS.values())
    whole = JOBS["refresh"]["timeout-minutes"]
    (own,) = [step["timeout-minutes"] for _, step in steps() if step.get("id") == "refresh"]
    assert own + 30 < whole, "what was collected is saved before the job ends"


def test_no_job_has_more_rights_than_it_needs() -> None:
    assert WORKFLOW["permissions"] == {}
    assert JOBS["refresh"]["permissions"] == {"contents": "read", "actions": "read"}
    assert JOBS["publish"]["permissions"] == {"contents": "write"}
    assert "secrets." not in yaml.safe_dump(JOBS["publish"]), "the job that may write holds no key"
    (checkout,) = [step for job, step in steps() if job == "refresh" and "checkout" in step.get("uses", "")]
    assert checkout["with"]["persist-credentials"] is False


def test_every_action_is_pinned_to_a_commit_with_its_tag_behind() -> None:
    used = re.findall(r"uses: (\S+)(.*)", PATH.read_text(encoding="utf-8"))
    assert len(used) >= 6
    for action, behind in used:
        assert re.fullmatch(r"actions/[\w-]+@[0-9a-f]{40}", action), action
        assert re.fullmatch(r" # v\d+\.\d+\.\d+", behind), action


def test_every_flywheel_command_and_option_exists() -> None:
    called = [words for _, script in scripts() for words in commands(script)]
    assert {"refresh", "check", "build"} <= {words[0] for words in called}
    context = click.Context(main)
    for words in called:
        command = main.get_command(context, words[0])
        assert command is not None, words
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= known, words


def test_every_make_target_exists() -> None:
    targets = re.findall(r"^([^\s:#=]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    named = {target.replace("$(VENV)", ".venv") for target in targets}
    asked = {
        word for _, script in scripts() for line in re.findall(r"^make (.*)$", script, re.M) for word in line.split()
    }
    assert asked and asked <= named


@pytest.mark.parametrize(("name", "script"), list(scripts()), ids=lambda value: str(value)[:40])
def test_every_script_is_bash_without_a_value_pasted_in(name: str, script: str) -> None:
    """An expression in a script would be pasted before bash reads it: a name of a branch could run as a command, and a
    secret would stand in the script."""
    assert "${{" not in script, name
    checked = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True)
    assert checked.returncode == 0, checked.stderr
    assert WORKFLOW["defaults"]["run"]["shell"] == "bash -euo pipefail {0}"


def test_no_secret_is_printed() -> None:
    """Secrets stand in the environment of single steps only, and no command prints one."""
    assert "env" not in WORKFLOW and not any("secrets." in str(job.get("env")) for job in JOBS.values())
    for name, step in steps():
        held = [key for key, value in step.get("env", {}).items() if "secrets." in str(value)]
        assert "secrets." not in str({key: value for key, value in step.items() if key != "env"}), (name, step)
        script = step.get("run", "")
        if held:
            assert not re.search(r"set -\w*x|\bxtrace\b|\benv\b|\bprintenv\b|\bexport -p\b", script)
            for key in held:
                # Into a test or a file descriptor, never into a word of a command, which a log or a process list shows.
                used = re.findall(rf".*\$\{{?{key}\b.*", script)
                assert all(re.search(rf'\[ -n "\${key}" \]|3<<< "\${key}"', line) for line in used), used
    (refresh,) = [step for _, step in steps() if step.get("id") == "refresh"]
    named = {key for key, value in refresh["env"].items() if "secrets." in str(value)}
    assert named <= set(SECRET_VARIABLES), "the log filter of a run must know every secret that it is given"


def test_the_store_leaves_only_encrypted() -> None:
    uploads = [step["with"] for _, step in steps() if "upload-artifact" in step.get("uses", "")]
    assert {upload["name"] for upload in uploads} == {"store", "public"}
    for upload in uploads:
        paths = upload["path"].split("\n")
        for path in filter(None, map(str.strip, paths)):
            assert path.endswith(".gpg") or not any(word in path for word in PRIVATE), path
            assert "*" not in path and path not in (".", "./"), "each file is named"
    text = PATH.read_text(encoding="utf-8")
    assert "actions/cache" not in text and "git add data\n" in text
    (close,) = [step for _, step in steps() if step.get("id") == "close"]
    assert "--symmetric --cipher-algo AES256" in close["run"]
    assert close["run"].index("gpg ") < close["run"].index('rm "$RUNNER_TEMP/store.tar.gz"\n')
    assert "always()" in close["if"]


def test_git_ignores_whatever_is_private() -> None:
    for name in (
        "store.db",
        "store.db-wal",
        "store.db.refresh/readings.db",
        "author.key",
        "published/signals.db",
        "report.json",
    ):
        checked = subprocess.run(["git", "check-ignore", "-q", name], cwd=ROOT)
        assert checked.returncode == 0, name


def test_what_is_handed_on_is_what_a_refresh_publishes() -> None:
    uploads = [step["with"] for _, step in steps() if "upload-artifact" in step.get("uses", "")]
    (public,) = [upload for upload in uploads if upload["name"] == "public"]
    paths = set(filter(None, public["path"].split("\n")))
    assert paths == {*(f"data/{name}" for name in OWN), "data/tombstones.jsonl", "signals.db", "report.json"}


def test_only_what_changed_and_is_sound_is_published() -> None:
    by_name = {step["name"]: step for job, step in steps() if job == "publish" and "name" in step}
    assert by_name["Publish"]["if"] == by_name["Build again and compare"]["if"] == "env.OUTCOME == 'published'"
    names = list(by_name)
    assert names.index("Build again and compare") < names.index("Commit") < names.index("Publish")
    (refresh,) = [step["run"] for _, step in steps() if step.get("id") == "refresh"]
    assert f'[ "$code" = {EXIT_UNSOUND} ]' in refresh and 'exit "$code"' in refresh
    assert "exit 1" in by_name["Say that a check fails"]["run"]
