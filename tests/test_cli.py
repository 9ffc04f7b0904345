"""The command line: what it prints, where it finds the project, how it ends."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from click.testing import CliRunner

from flywheel import server
from flywheel.cli import main
from tests.conftest import ROOT, DataFolder
from tests.posts import coded


def run(*arguments: str | Path) -> tuple[int, str]:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    return result.exit_code, result.output


@pytest.mark.parametrize(
    "command",
    [
        [],
        ["build"],
        ["serve"],
        ["check"],
        ["collect"],
        ["import"],
        ["hydrate"],
        ["forget"],
        ["train"],
        ["tag"],
        ["classify"],
        ["explain"],
        ["dedupe"],
        ["fold"],
    ],
)
def test_help_needs_no_project(command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["flywheel", *command, "--help"])
    code, said = run(*command, "--help")
    assert code == 0
    assert "Usage:" in said


def test_outside_a_project_there_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code, said = run("check")
    assert code == 2
    assert "no project found" in said
    assert "--root" in said


def test_the_project_is_found_from_a_folder_inside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT / "build" / "flywheel")
    code, said = run("check")
    assert code == 0
    assert "signals/population.jsonl" in said


def test_build_prints_every_fault_and_writes_nothing(data_folder: DataFolder, tmp_path: Path) -> None:
    folder = data_folder([coded(1, theme="vibes"), "{"])
    out = tmp_path / "signals.db"
    code, said = run("--root", ROOT, "build", "--data", folder, "--out", out)
    assert code == 1
    assert "some.jsonl, line 1: theme: " in said
    assert "some.jsonl, line 2: not JSON" in said
    assert "2 faults; nothing was written" in said
    assert not out.exists()


def test_serve_says_that_a_port_is_taken(database: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, said = run("--root", ROOT, "serve", "--port", str(port), "--database", database)
    assert code == 1
    assert said == f"Error: port {port} is taken. Choose another: make serve PORT={port + 1}\n"


def test_serve_asks_for_a_build_first(tmp_path: Path) -> None:
    (tmp_path / "metadata.yml").touch()
    code, said = run("--root", tmp_path, "serve")
    assert code == 2
    assert "flywheel build" in said


def test_the_site_is_served_read_only(database: Path) -> None:
    served = server.datasette(ROOT, database)
    assert [(name, found.is_mutable) for name, found in served.databases.items() if found.path] == [("signals", False)]
    assert served.cors
