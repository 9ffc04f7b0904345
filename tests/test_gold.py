"""The gold sample: a fair draw, a sheet that tells nothing, readings that come back whole or not at all."""

from __future__ import annotations

import csv
import json
import sqlite3
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from flywheel import data, gold, gold_commands, pipeline
from flywheel.faults import FaultsError
from flywheel.gold import Candidate
from tests.conftest import DataFolder
from tests.posts import coded, drawn, write_lines


def candidates(**sizes: int) -> list[Candidate]:
    return [
        Candidate(f"https://x.org/{name}/{n}", name, "opening", "t", "b") for name in sizes for n in range(sizes[name])
    ]


@given(st.lists(st.integers(1, 60), min_size=1, max_size=6), st.integers(1, 80), st.integers())
def test_a_draw_is_in_proportion_and_can_be_repeated(sizes: list[int], count: int, seed: int) -> None:
    pool = candidates(**{f"a{n}": size for n, size in enumerate(sizes)})
    found = gold.draw(pool, count, seed)
    assert found == gold.draw(reversed(pool), count, seed)
    assert len(found) == len(set(found)) == min(count, len(pool))
    per = Counter(post.stratum for post in found)
    for n, size in enumerate(sizes):
        assert abs(per[f"a{n}"] - len(found) * size / len(pool)) < 1


def test_every_post_of_a_stratum_is_drawn_as_often() -> None:
    pool = candidates(a=10, b=30)
    times = Counter(post.url for seed in range(2000) for post in gold.draw(pool, 8, seed))
    assert max(times.values()) < 1.3 * min(times.values())


HOSTILE = '=HYPERLINK("http://evil")\n+1, mail a@example.org key sk-proj-abcdefghijklmnopqrstuvwxyz0123456789ABCD'


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_a_sheet_tells_only_the_post(tmp_path: Path, suffix: str) -> None:
    post = Candidate("https://x.org/1", "hub", "opening", "Title", HOSTILE)
    path = tmp_path / f"sheet.{suffix}"
    gold.write_sheet(path, list(gold.sheet_rows([post])))
    text = path.read_text(encoding="utf-8-sig")
    assert "a@example.org" not in text and "sk-proj" not in text
    (row,) = csv.DictReader(text.splitlines()) if suffix == "csv" else [json.loads(text)]
    assert tuple(row) == gold.COLUMNS
    assert not any(row[name] for name in gold.BLANK)
    assert suffix == "jsonl" or (row["text"].startswith("'=") and len(text.splitlines()) == 2)
    assert path.stat().st_mode & 0o077 == 0
    with pytest.raises(FileExistsError):
        gold.write_sheet(path, [])


def project(data_folder: DataFolder, **families: Any) -> Path:
    """Three read posts of the Hub, and one that only a machine has read."""
    folder = data_folder([drawn(n) for n in (1, 2, 3)], **families)
    row = drawn(4)
    kept = {name: row[name] for name in ("url", "source", "community", "kind", "set", "frame", "thread", "author")}
    told = {"place": "hub", "weight": 1.0, "month": "2025-03", "seen": "opening", "relevance": 0.1, "signal": False}
    said = {"theme": "overfitting", "themes": {"overfitting": 0.9}, "ask": None, "unsure": False, "model": "x"}
    write_lines(folder / "derived" / "hub.jsonl", [kept | told | said])
    return folder.parent


def fill(path: Path, *readings: dict[str, Any]) -> Path:
    """Fills in a sheet as a person would, one reading a row of `drawn(n)`; `url` may be given."""
    rows = [dict.fromkeys(gold.COLUMNS) | {"url": drawn(n)["url"]} | reading for n, reading in enumerate(readings, 1)]
    gold.write_sheet(path, rows)
    return path


TRAIN = {"pain": "yes", "theme": "training-dynamics", "sure": "high", "coder": "P1"}
AFTER = {"pain": "Yes", "theme": "overfitting", "also": "data-quality; output-defects", "ask": "judge", "run": "yes"}
AFTER |= {"sure": "low", "coder": "P1"}
NONE = {"pain": "no", "why": "howto", "sure": "high", "coder": "P1"}
UNCLEAR = {"pain": "cannot tell", "sure": "low", "coder": "P1"}


def code(root: Path, sheet: Path, by: str = "person") -> Result:
    return CliRunner().invoke(gold_commands.code_command, [str(sheet), "--by", by], obj=root)


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_readings_come_back_as_the_next_ones(data_folder: DataFolder, tmp_path: Path, suffix: str) -> None:
    first = [{"url": drawn(1)["url"], "reading": n, "coder": "A", "pain": True, "theme": "overfitting"} for n in (1, 2)]
    root = project(data_folder, codings=first)
    answer = code(root, fill(tmp_path / f"sheet.{suffix}", TRAIN, AFTER, {}, UNCLEAR))
    assert answer.exit_code == 0, answer.output
    assert "3 readings added" in answer.output and "1 rows not filled in yet" in answer.output
    found = data.read(root / "data")
    added = {c.id: c for c in found.codings if c.reader == "person"}
    assert {c.reading for c in added.values()} == {6}
    after = added["hf.someone.model-2.2"]
    assert (after.pain, after.theme, after.also) == (True, "overfitting", ("data-quality", "output-defects"))
    assert (after.ask, after.run, after.sure, after.coder) == ("judge", True, "low", "P1")
    assert added["hf.someone.model-4.4"].pain is None
    again = code(root, fill(tmp_path / f"second.{suffix}", TRAIN | {"coder": "P2"}), "language-model")
    assert again.exit_code == 0
    codings = [c for c in data.read(root / "data").codings if c.id == "hf.someone.model-1.1"]
    assert [(c.reading, c.coder, c.reader) for c in codings] == [
        (1, "A", "language model"), (2, "A", "language model"), (6, "P1", "person"), (7, "P2", "language model"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"pain": "maybe"}, "pain", "is one of yes, no, cannot tell"),
        ({"pain": None}, "pain", "is missing"),
        ({"theme": "vibes"}, "theme", "is not among the themes"),
        ({"theme": "overfitting"}, "ask", "is missing"),
        ({"ask": "bad"}, "ask", "only a signal of Evaluate or Iterate"),
        ({"ask": "why", "theme": "overfitting"}, "ask", "is not among the asks"),
        ({"run": "yes"}, "run", "only a signal of Evaluate or Iterate"),
        ({"why": "howto"}, None, "why: stands only where pain is false"),
        ({"pain": "no"}, None, "a post that is no signal has no theme"),
        ({"also": "training-dynamics"}, None, "repeats a theme"),
        ({"sure": "very"}, "sure", "high"),
        ({"sure": None}, "sure", "is missing"),
        ({"coder": None}, "coder", "is missing"),
        ({"coder": "Jane Doe, Berlin"}, "coder", "pattern"),
        ({"url": "https://huggingface.co/a/b/discussions/9"}, "url", "no post of signals/ or derived/"),
        ({"url": drawn(1)["url"]}, "url", "stands in line"),
    ],
)
def test_a_fault_names_file_line_and_field_and_nothing_is_written(
    data_folder: DataFolder, tmp_path: Path, change: dict[str, Any], field: str | None, words: str
) -> None:
    root = project(data_folder)
    before = (root / "data" / "codings.jsonl").read_bytes()
    for suffix, line in (("csv", 3), ("jsonl", 2)):
        answer = code(root, fill(tmp_path / f"sheet.{suffix}", TRAIN, TRAIN | change))
        assert answer.exit_code == 1
        assert f"sheet.{suffix}, line {line}: {field + ': ' if field else ''}" in answer.output
        assert words in answer.output
    assert (root / "data" / "codings.jsonl").read_bytes() == before


def test_a_sheet_is_taken_in_once(data_folder: DataFolder, tmp_path: Path) -> None:
    root = project(data_folder)
    sheet = fill(tmp_path / "sheet.csv", TRAIN)
    assert code(root, sheet).exit_code == 0
    again = code(root, sheet)
    assert again.exit_code == 1 and "P1 has read this post already, as reading 6" in again.output
    assert len(data.read(root / "data").codings) == 1


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"url,pain\nx,yes\n", "lacks the columns"),
        (
            ",".join([*gold.COLUMNS, "mood"]).encode() + b"\n" + b"x," * len(gold.COLUMNS) + b"good\n",
            "mood: is not a column",
        ),
        (b"\xff\xfe\x00", "not UTF-8"),
        (",".join(gold.COLUMNS).encode() + b'\n"open', "not CSV"),
    ],
)
def test_a_broken_sheet_is_refused(data_folder: DataFolder, tmp_path: Path, content: bytes, words: str) -> None:
    (sheet := tmp_path / "sheet.csv").write_bytes(content)
    with pytest.raises(FaultsError, match=words):
        gold.read_sheet(sheet, data.read(project(data_folder) / "data"), "person")


def test_a_post_that_only_the_machine_had_read_is_read_now(data_folder: DataFolder, tmp_path: Path) -> None:
    root = project(data_folder)
    assert code(root, fill(tmp_path / "sheet.jsonl", TRAIN, {}, {}, AFTER)).exit_code == 0
    found = data.read(root / "data")
    read, unread = gold.with_added(found.posts, found.unread, found.codings, found.vocabulary)
    assert unread == []
    by_id = {post.id: post for post in read}
    new = by_id["hf.someone.model-4.4"]
    assert (new.labelled_by, new.verdict, new.theme, new.ask, new.readings) == (
        "coded",
        "signal",
        "overfitting",
        "judge",
        1,
    )
    assert by_id["hf.someone.model-1.1"].readings == 2
    # Three posts stood for 3.75; with a fourth drawn at random, each of the four stands for a quarter of that.
    assert [post.weight for post in read] == pytest.approx([3.75 / 4] * 4)
    out = pipeline.build(root / "data", tmp_path / "out" / "signals.db").path
    with sqlite3.connect(out) as db:
        assert db.execute("select count(*) from codings where reader = 'person'").fetchone() == (2,)
        assert db.execute("select labelled_by, readings from signals where id = ?", [new.id]).fetchone() == ("coded", 1)


def test_a_reading_alone_changes_no_weight_and_no_label(data_folder: DataFolder) -> None:
    found = data.read(project(data_folder) / "data")
    post = found.posts[0]
    coding = data.Coding(post.id, 6, "P1", False, None, (), "howto", None, None, "high", None, "person")
    read, unread = gold.with_added(found.posts, found.unread, [coding], found.vocabulary)
    assert read == [replace(post, readings=2), *found.posts[1:]]
    assert unread == found.unread


def store(path: Path, *rows: tuple[str, str, str | None]) -> Path:
    with sqlite3.connect(path) as db:
        db.execute("create table items (url, source, kind, title, body, frame)")
        db.executemany("insert into items values (?, 'reddit', 'post', 'LoRA trouble', ?, ?)", rows)
    return path


def test_sample_draws_from_a_store_what_was_not_read_or_searched_for(data_folder: DataFolder, tmp_path: Path) -> None:
    root = data_folder([coded(1)]).parent
    url = "https://www.reddit.com/r/x/comments/{}/"
    rows = [(url.format(f"a{n}"), "fine-tuning fails", None) for n in range(9)]
    private = store(
        tmp_path / "store.db",
        *rows,
        (url.format("t1"), "fine-tuning", "targeted"),
        (coded(1)["url"], "read", "neutral"),
    )

    def sample(*arguments: str) -> Result:
        return CliRunner().invoke(gold_commands.sample_command, [*arguments, "--store", str(private)], obj=root)

    answer = sample("50", str(tmp_path / "sheet.jsonl"), "--seed", "3")
    assert answer.exit_code == 0, answer.output
    drawn_urls = [json.loads(line)["url"] for line in (tmp_path / "sheet.jsonl").read_text().splitlines()]
    assert sorted(drawn_urls) == [url for url, *_ in rows]
    assert sample("50", str(tmp_path / "sheet.jsonl"), "--seed", "3").exit_code == 1
    assert sample("50", str(root / "data" / "sheet.csv"), "--seed", "3").exit_code == 2
    assert sample("5", str(tmp_path / "read.csv"), "--seed", "3", "--again").exit_code == 0
    assert "issues/1" in (tmp_path / "read.csv").read_text(encoding="utf-8-sig")
