""".github/workflows/refresh.yml, read as a runner reads it: every command exists, no secret is printed, and the raw
store leaves the machine only encrypted."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from flywheel.cli import main
from flywheel.collect import tombstones
from flywheel.collect.runner import SECRET_VARIABLES
from flywheel.data import VERSION
from flywheel.refresh import CITATION, EXIT_UNSOUND, OWN
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
    assert "actions/cache" not in text and "git add data CITATION.cff\n" in text
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


def test_what_is_handed_on_is_what_a_refresh_publishes_and_erases() -> None:
    uploads = [step["with"] for _, step in steps() if "upload-artifact" in step.get("uses", "")]
    (public,) = [upload for upload in uploads if upload["name"] == "public"]
    paths = set(filter(None, public["path"].split("\n")))
    written = {*OWN, *tombstones.LINES, "tombstones.jsonl"} - {CITATION}
    # A folder is handed on whole.
    named = {f"data/{name.split('/')[0]}" if "/" in name else f"data/{name}" for name in written}
    assert paths == {*named, CITATION, "signals.db", "report.json"}


def test_only_what_changed_and_is_sound_is_published() -> None:
    by_name = {step["name"]: step for job, step in steps() if job == "publish" and "name" in step}
    alone = ("Build again and compare", "Export", "Publish")
    assert {by_name[name]["if"] for name in alone} == {"env.OUTCOME == 'published'"}
    names = list(by_name)
    assert names.index("Build again and compare") < names.index("Export") < names.index("Commit")
    assert names.index("Commit") < names.index("Publish")
    (refresh,) = [step["run"] for _, step in steps() if step.get("id") == "refresh"]
    assert f'[ "$code" = {EXIT_UNSOUND} ]' in refresh and 'exit "$code"' in refresh
    assert "exit 1" in by_name["Say that a check fails"]["run"]


def step_named(name: str) -> dict[str, Any]:
    return next(step for _, step in steps() if step.get("name") == name)


@dataclass
class Runner:
    """Runs the scripts of steps as the workflow's shell does, in a folder that stands for the checkout."""

    workspace: Path
    temporary: Path
    bin: Path

    def run(self, name: str, **environ: str) -> subprocess.CompletedProcess[str]:
        outputs = {key: str(self.temporary / key.lower()) for key in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
        settings = {"PATH": f"{self.bin}:{os.environ['PATH']}", "HOME": str(self.temporary), **outputs}
        settings |= {"RUNNER_TEMP": str(self.temporary), "GITHUB_REPOSITORY": "someone/flywheel", **environ}
        script = self.temporary / "script.sh"
        script.write_text(step_named(name)["run"], encoding="utf-8")
        command = WORKFLOW["defaults"]["run"]["shell"].replace("{0}", str(script)).split()
        return subprocess.run(command, cwd=self.workspace, env=settings, text=True, capture_output=True)

    def stands_for(self, name: str, script: str) -> None:
        """Puts a program of this name in front of all others."""
        path = self.bin / name
        path.write_text(f"#!/bin/bash\n{script}\n", encoding="utf-8")
        path.chmod(0o755)

    @property
    def outputs(self) -> dict[str, str]:
        lines = (self.temporary / "github_output").read_text(encoding="utf-8").splitlines()
        return dict(line.split("=", 1) for line in lines)


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    for program in ("gpg", "jq", "unzip", "zip", "git"):
        if shutil.which(program) is None:
            pytest.skip(f"needs {program}, which every runner has")
    made = Runner(tmp_path / "work", tmp_path / "temp", tmp_path / "bin")
    for folder in (made.workspace, made.temporary, made.bin):
        folder.mkdir()
    return made


SECRET = "a passphrase with $ and ' and \" in it"
TEXT = "the words of a post that nobody may read"


def test_the_store_comes_back_whole_and_to_nobody_else(runner: Runner, tmp_path: Path) -> None:
    (runner.workspace / "store.db").write_text(TEXT)
    (runner.workspace / "store.db.refresh").mkdir()
    (runner.workspace / "store.db.refresh" / "run.json").write_text("{}")
    closed = runner.run("Close the store", STORE_KEY=SECRET)
    assert closed.returncode == 0, closed.stderr
    kept = [path.name for path in runner.temporary.iterdir() if path.name.startswith("store")]
    assert kept == ["store.tar.gz.gpg"], "nothing unencrypted is left behind"
    packed = runner.temporary / "store.tar.gz.gpg"
    assert TEXT.encode() not in packed.read_bytes()

    # As the API hands out an artefact: one file, zipped.
    subprocess.run(["zip", "-q", "-j", tmp_path / "artefact.zip", packed], check=True)
    packed.unlink()
    shutil.rmtree(runner.workspace)
    runner.workspace.mkdir()
    # The newest that is not expired, of the default branch, of this repository: number 2.
    found = [(1, False, "main", 7), (2, False, "main", 7), (3, False, "main", 8), (4, False, "evil", 7)]
    found += [(5, True, "main", 7)]
    listed = {
        "artifacts": [
            {
                "id": id_,
                "expired": expired,
                "created_at": f"2026-11-0{id_}",
                "workflow_run": {"head_branch": branch, "head_repository_id": repository},
            }
            for id_, expired, branch, repository in found
        ]
    }
    (tmp_path / "list.json").write_text(json.dumps(listed))
    runner.stands_for(
        "gh",
        f"""case "$2" in
        */artifacts/2/zip) cat {tmp_path / "artefact.zip"};;
        *name=store*) jq -r "$4" {tmp_path / "list.json"};;
        *) exit 9;; esac""",
    )
    own = {"BRANCH": "main", "OWN": "7", "FIRST": ""}
    fetched = runner.run("Fetch the encrypted store", **own)
    assert fetched.returncode == 0, fetched.stderr
    refused = runner.run("Open the store", STORE_KEY="another")
    assert refused.returncode != 0 and not (runner.workspace / "store.db").exists()
    opened = runner.run("Open the store", STORE_KEY=SECRET)
    assert opened.returncode == 0, opened.stderr
    assert (runner.workspace / "store.db").read_text() == TEXT
    assert (runner.workspace / "store.db.refresh" / "run.json").exists()
    assert SECRET not in closed.stdout + closed.stderr + opened.stdout + opened.stderr
    assert runner.run("Open the store", STORE_KEY="").returncode != 0


def test_a_lost_store_stops_the_run_unless_asked_for(runner: Runner) -> None:
    runner.stands_for("gh", """jq -nr '{"artifacts": []}' | jq -r "$4" """)
    own = {"BRANCH": "main", "OWN": "7"}
    assert runner.run("Fetch the encrypted store", FIRST="", **own).returncode == 1
    assert runner.run("Fetch the encrypted store", FIRST="true", **own).returncode == 0
    assert runner.run("Close the store", STORE_KEY=SECRET).returncode == 1, "no store is not an empty store"


@pytest.mark.parametrize(("asked", "good"), [("", True), ("2026-11-24", True), ("2026-09.2", True), ("v1", False),
                                             ("1/2", False), ("1; rm -rf .", False)])  # fmt: skip
def test_the_version_is_named_as_the_command_wants_it(runner: Runner, asked: str, good: bool) -> None:
    assert (runner.run("Name the version", ASKED=asked).returncode == 0) is good
    if good:
        assert VERSION.fullmatch(runner.outputs["version"])
        assert asked in ("", runner.outputs["version"])


@pytest.mark.parametrize(("code", "ends"), [(0, 0), (EXIT_UNSOUND, 0), (1, 1), (3, 3), (137, 137)])
def test_a_failed_check_is_no_failed_step_and_all_else_is(runner: Runner, code: int, ends: int) -> None:
    command = runner.workspace / ".venv" / "bin" / "flywheel"
    command.parent.mkdir(parents=True)
    command.write_text(f'#!/bin/bash\n[ "${{@: -2:1}} ${{@: -1}}" = "--accept read posts" ] || exit 99\nexit {code}\n')
    command.chmod(0o755)
    named = {"VERSION": "1", "ACCEPT": "read posts"}
    assert runner.run("Refresh", FLYWHEEL_AUTHOR_KEY="k" * 32, **named).returncode == ends
    assert runner.run("Refresh", FLYWHEEL_AUTHOR_KEY="", **named).returncode == 1


def test_the_outcome_and_the_verdicts_are_told(runner: Runner) -> None:
    verdict = {"level": "fails", "check": "site", "why": "/memo: 500"}
    report = {"outcome": "unsound", "version": None, "verdicts": [verdict]}
    (runner.workspace / "report.json").write_text(json.dumps(report))
    assert runner.run("Say what came of it").returncode == 0
    assert runner.outputs == {"outcome": "unsound"}
    assert "- fails: site: /memo: 500" in (runner.temporary / "github_step_summary").read_text()


def git(folder: Path, *arguments: str) -> str:
    named = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main"]
    done = subprocess.run(["git", *named, *arguments], cwd=folder, check=True, text=True, capture_output=True)
    return done.stdout


@pytest.mark.parametrize("outcome", ["published", "unchanged", "unsound"])
def test_what_is_committed(runner: Runner, tmp_path: Path, outcome: str) -> None:
    """What the refresh wrote, on top of what others pushed: all where it was published, tombstones and what they took
    with them where a check failed."""
    origin, other = tmp_path / "origin.git", tmp_path / "other"
    git(tmp_path, "init", "-q", "--bare", str(origin))
    git(tmp_path, "clone", "-q", str(origin), str(other))
    (other / "data").mkdir()
    (other / "data" / "history.jsonl").write_text("old\n")
    (other / "data" / "codings.jsonl").write_text("erased\nother\n")
    (other / "CITATION.cff").write_text("version: 1.0.0\n")
    git(other, "add", "data", "CITATION.cff")
    git(other, "commit", "-q", "-m", "start")
    git(other, "push", "-q", "-u", "origin", "HEAD:main")
    runner.workspace.rmdir()
    git(tmp_path, "clone", "-q", "-b", "main", str(origin), str(runner.workspace))
    (other / "README.md").write_text("meanwhile\n")
    git(other, "add", "README.md")
    git(other, "commit", "-q", "-m", "meanwhile")
    git(other, "push", "-q", "origin", "HEAD:main")

    public = runner.temporary / "public" / "data"
    shutil.copytree(other / "data", public)
    shutil.copy(other / "CITATION.cff", public.parent)
    if outcome == "published":
        (public / "derived").mkdir()
        (public / "derived" / "collected.jsonl").write_text("new\n")
        (public / "history.jsonl").write_text("old\nnew\n")
        (public.parent / "CITATION.cff").write_text("version: 1.1.0\n")
    if outcome != "unchanged":
        (public / "tombstones.jsonl").write_text("gone\n")
        (public / "codings.jsonl").write_text("other\n")
    command = runner.workspace / ".venv" / "bin" / "flywheel"
    command.parent.mkdir(parents=True)
    command.write_text("#!/bin/bash\n")
    command.chmod(0o755)
    named = {"OUTCOME": outcome, "VERSION": "2026-11-24"}
    for step in ("Take over the data", "Commit"):
        done = runner.run(step, **named)
        assert done.returncode == 0, done.stderr
    git(other, "pull", "-q")
    data = other / "data"
    committed = {path.relative_to(data).as_posix(): path.read_text() for path in data.rglob("*.jsonl")}
    before = {"history.jsonl": "old\n", "codings.jsonl": "erased\nother\n"}
    erased = {"tombstones.jsonl": "gone\n", "codings.jsonl": "other\n"}
    everything = erased | {"derived/collected.jsonl": "new\n", "history.jsonl": "old\nnew\n"}
    assert committed == {"published": everything, "unchanged": before, "unsound": before | erased}[outcome]
    cited = (other / "CITATION.cff").read_text()
    assert cited == ("version: 1.1.0\n" if outcome == "published" else "version: 1.0.0\n")
    assert (other / "README.md").exists()
    assert ("Data: 2026-11-24" in git(other, "log", "-1", "--format=%s")) is (outcome != "unchanged")


@pytest.mark.parametrize("earlier", [True, False])
def test_the_export_goes_on_with_the_changelog_of_the_release_before(runner: Runner, earlier: bool) -> None:
    (runner.workspace / "export").mkdir()
    (runner.workspace / "export" / "CHANGELOG.md").write_text("the release before\n")
    subprocess.run(
        ["tar", "-czf", runner.temporary / "of-the-release.tar.gz", "export"], cwd=runner.workspace, check=True
    )
    shutil.rmtree(runner.workspace / "export")
    tags = ("data-1", "code-3", "data-2") if earlier else ("code-3",)
    listed = [{"tagName": tag, "createdAt": f"2026-11-0{n}"} for n, tag in enumerate(tags)]
    (runner.temporary / "list.json").write_text(json.dumps(listed))
    runner.stands_for(
        "gh",
        """case "$2 $3" in
        "list --repo") jq -r "${@: -1}" "$RUNNER_TEMP/list.json";;
        "download data-2") cp "$RUNNER_TEMP/of-the-release.tar.gz" "${@: -1}/export.tar.gz";;
        *) exit 9;; esac""",
    )
    command = runner.workspace / ".venv" / "bin" / "flywheel"
    command.parent.mkdir(parents=True)
    command.write_text('#!/bin/bash\nmkdir -p "${@: -1}"; echo "this one, of $3" >> "${@: -1}/CHANGELOG.md"\n')
    command.chmod(0o755)
    done = runner.run("Export")
    assert done.returncode == 0, done.stderr
    made = runner.temporary / "made"
    made.mkdir()
    subprocess.run(["tar", "-xzf", runner.temporary / "export.tar.gz"], cwd=made, check=True)
    told = (made / "export" / "CHANGELOG.md").read_text().splitlines()
    assert told[:-1] == (["the release before"] if earlier else [])
    assert told[-1] == f"this one, of {runner.temporary}/public/signals.db"
