"""What changed between two databases, and which version is due for it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from flywheel import changelog, pipeline
from flywheel.cli import main
from tests.conftest import ROOT, DataFolder
from tests.posts import coded

Build = Any


@pytest.fixture
def build(data_folder: DataFolder, tmp_path: Path) -> Build:
    """Builds a database from rows and a version; further SQL is run on the finished file."""

    def make(name: str, rows: list[dict[str, Any]], version: str = "1.0.0", sql: str = "") -> Path:
        folder = data_folder(rows)
        site = yaml.safe_load((folder / "site.yml").read_text())
        (folder / "site.yml").write_text(yaml.safe_dump({**site, "version": version}))
        out = tmp_path / name
        pipeline.build(folder, out)
        with closing(sqlite3.connect(out)) as connection:
            connection.executescript(sql)
        return out

    return make


ROWS = [coded(n, theme="overfitting", ask="bad", run=True) for n in range(6)]
OTHER_THEME = [coded(0, theme="output-defects", ask="bad", run=True), *ROWS[1:]]
OTHER_GIST = [coded(0, theme="overfitting", ask="bad", run=True, gist="Another sentence."), *ROWS[1:]]
NO_SIGNAL = [{**coded(0), "pain": False, "theme": None, "gist": None, "why": "howto"}, *ROWS[1:]]


@pytest.mark.parametrize(
    ("rows", "sql", "change", "told"),
    [
        (ROWS, "", None, "The same content."),
        (OTHER_THEME, "", "patch", "1 post with another `theme`: `gh."),
        (OTHER_GIST, "", "patch", "1 post with another `gist`"),
        (NO_SIGNAL, "", "patch", "1 post no longer signals"),
        (ROWS[1:], "", "minor", "1 post went, 1 of them signals."),
        ([*ROWS, coded(9)], "", "minor", "1 post came, 1 of them signals."),
        (ROWS, "create table more (id text primary key)", "minor", "New tables: `more`."),
        (ROWS, "alter table flow add column more text", "minor", "New columns: `flow.more`."),
        (
            ROWS,
            "insert into asks (slug) values ('whim')",
            "minor",
            "New words of the vocabulary: `asks.whim`.",
        ),
        (ROWS, "drop table student_t", "major", "Tables gone: `student_t`."),
        (ROWS, "alter table signals drop column score", "major", "Columns gone: `signals.score`."),
        (ROWS, "alter table flow rename column posts to number", "major", "Columns gone: `flow.posts`."),
        (ROWS, "delete from whys where slug = 'news'", "major", "Words of the vocabulary gone: `whys.news`."),
    ],
)
def test_a_change_is_told_and_weighed(
    build: Build, rows: list[dict[str, Any]], sql: str, change: str | None, told: str
) -> None:
    old, _ = changelog.open_edition(build("old.db", ROWS))
    new, _ = changelog.open_edition(build("new.db", rows, sql=sql))
    assert changelog.weight(changelog.compare(old, new)) == change
    assert told in changelog.entry(old, new)


@pytest.mark.parametrize(
    ("change", "version"), [("major", "2.0.0"), ("minor", "1.3.0"), ("patch", "1.2.4"), (None, "1.2.3")]
)
def test_the_version_that_follows(change: Any, version: str) -> None:
    assert changelog.following("1.2.3", change) == version


def test_posts_that_went_are_not_named(build: Build) -> None:
    old, _ = changelog.open_edition(build("old.db", ROWS))
    new, _ = changelog.open_edition(build("new.db", ROWS[1:]))
    (gone,) = old.posts.keys() - new.posts.keys()
    assert gone not in changelog.entry(old, new)


def call(*arguments: object) -> Any:
    return CliRunner().invoke(main, ["--root", str(ROOT), "export", *map(str, arguments)])


def test_a_version_that_says_too_little_stops_the_export(build: Build, tmp_path: Path) -> None:
    out = tmp_path / "export"
    assert call("--database", build("old.db", ROWS), "--out", out).exit_code == 0
    first = (out / "CHANGELOG.md").read_text()
    for version in ("1.0.0", "1.0.9", "0.9.0"):
        refused = call("--database", build("new.db", ROWS[1:], version), "--out", out)
        assert refused.exit_code == 1
        assert f"this is 1.1.0 or later; data/site.yml says {version}" in refused.output
        assert (out / "CHANGELOG.md").read_text() == first

    assert call("--database", build("new.db", ROWS[1:], "1.1.0"), "--out", out).exit_code == 0
    text = (out / "CHANGELOG.md").read_text()
    assert [line for line in text.splitlines() if line.startswith("## ")] == ["## 1.1.0", "## 1.0.0"]
    assert text.startswith("# Changelog\n\n## 1.1.0") and first.split("\n\n", 1)[1] in text


def test_an_earlier_database_can_be_named(build: Build, tmp_path: Path) -> None:
    old = build("old.db", ROWS)
    new = build("new.db", OTHER_THEME, "1.0.1")
    assert call("--database", new, "--out", tmp_path / "export", "--since", old).exit_code == 0
    text = (tmp_path / "export" / "CHANGELOG.md").read_text()
    assert "with another `theme`" in text and "## 1.0.0" in text
    told = call("--database", new, "--out", tmp_path / "export", "--since", ROOT / "README.md")
    assert told.exit_code == 1 and "README.md: not a signals.db" in told.output
