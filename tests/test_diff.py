"""What changed between two builds: counts of signals, and shares of the same places with an honest interval."""

from __future__ import annotations

import json
import math
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flywheel import diff, pipeline
from flywheel.diff import Side, Tally
from tests.conftest import DataFolder
from tests.posts import coded, drawn, write_lines

ARCHIVES = ("hf-hub-discussions", "localllama-archive", "openai-forum-titles")
SPLIT = [("memory-hardware", {}), ("speed-cost", {}), ("output-defects", {"ask": "bad", "run": True}),
         ("checkpoint-lifecycle", {"ask": "next", "run": True})]  # fmt: skip


def population(n: int = 120, archives: tuple[str, ...] = ARCHIVES) -> list[dict[str, Any]]:
    return [
        drawn(1000 * k + i, theme=SPLIT[i % 4][0], set=archive, weight=1.0, author=1000 * k + i, **SPLIT[i % 4][1])
        for k, archive in enumerate(archives)
        for i in range(n)
    ]


@pytest.fixture
def built(data_folder: DataFolder, tmp_path: Path) -> Any:
    folder = data_folder(population())

    def build(rows: list[dict[str, Any]], name: str) -> Path:
        write_lines(folder / "signals" / "some.jsonl", rows)
        return pipeline.build(folder, tmp_path / name).path

    return build


def test_the_shipped_data_against_themselves(database: Path) -> None:
    found = diff.compare(database, database)
    assert (found.tallies, found.moves, found.places) == ([], [], {})
    assert found.compared > 100


def test_shares_are_those_of_the_estimates(database: Path) -> None:
    side = diff.read(database)
    with closing(sqlite3.connect(database)) as db:
        published = {
            (measure, subject, place): share
            for measure, subject, place, share in db.execute(
                """select measure, subject, value, share from estimates join windows using (window)
                where method = 'process' and variant = '' and role = 'all' and "by" in ('', 'place')
                and share is not null"""
            )
        }
    moves = diff.moves(side, side)
    for move in moves:
        assert move.after == pytest.approx(published[move.measure, move.subject, move.place], abs=2e-6)
    assert {move.place for move in moves} > {""}


def test_new_gone_and_relabelled(built: Any) -> None:
    rows = [*population(), *(coded(n) for n in range(10))]
    before = built(rows, "before.db")
    changed = [dict(row) for row in rows[2:]]
    changed[0] |= {"theme": "overfitting"}  # was output-defects
    after = built([*changed, coded(500, theme="speed-cost")], "after.db")
    assert diff.compare(before, after).tallies == [
        Tally("gone", "read", "memory-hardware", 1),
        Tally("gone", "read", "speed-cost", 1),
        Tally("new", "read", "speed-cost", 1),
        Tally("relabelled", "read", "overfitting", 1),
    ]


def test_a_place_that_enters_is_a_break_and_moves_no_mean(built: Any) -> None:
    before = built(population(), "before.db")
    engines = [row | {"url": f"https://github.com/a/b/issues/{n}", "thread": f"https://github.com/a/b/issues/{n}",
                      "source": "github", "community": "a/b", "kind": "issue", "set": "ml-github-issues",
                      "theme": "overfitting", "ask": "bad", "run": True}
               for n, row in enumerate(population(100, ARCHIVES[:1]))]  # fmt: skip
    after = built([*population(), *engines], "after.db")
    found = diff.compare(before, after)
    assert found.places == {"github-engines": "enters"}
    assert found.moves == []
    assert diff.compare(after, before).places == {"github-engines": "leaves"}


def test_relabelling_that_goes_one_way_is_told_from_some_that_cancels_out(built: Any) -> None:
    rows = population()
    before = built(rows, "before.db")
    hub = [row for row in rows if row["set"] == ARCHIVES[0] and row["theme"] == "output-defects"]
    for row in hub[:20]:
        row |= {"theme": "checkpoint-lifecycle", "ask": "next"}
    one_way = diff.compare(before, built(rows, "one_way.db"))
    moved = {(move.measure, move.subject, move.place): move for move in one_way.moved}
    assert moved["headline", "evaluate", "hub"].change < 0
    assert moved["headline", "evaluate", "hub"].high < 0
    assert ("of_100", "train", "hub") not in {(m.measure, m.subject, m.place) for m in one_way.moves}
    # As many the other way: the shares are what they were, whoever stands behind them.
    back = [row for row in rows if row["set"] == ARCHIVES[0] and row["theme"] == "checkpoint-lifecycle"][:20]
    for row in back:
        row |= {"theme": "output-defects", "ask": "bad"}
    both_ways = diff.compare(before, built(rows, "both_ways.db"))
    assert both_ways.moves == [] and both_ways.compared == one_way.compared


def side(labels: dict[str, np.ndarray[Any, Any]]) -> Side:
    """Places whose posts are clusters of their own; a label is the number of a theme in SPLIT."""
    clusters = {
        place: {
            f"t:{i}": Counter({(("train", "train", "evaluate", "iterate")[k], SPLIT[k][0], ""): 1.0})
            for i, k in enumerate(kinds)
        }
        for place, kinds in labels.items()
    }
    shares = {("of_100", phase, place): len(kinds) for place, kinds in labels.items()
              for phase in ("train", "evaluate", "iterate")}  # fmt: skip
    return Side({}, dict.fromkeys(labels, "population"), clusters, shares)


@pytest.mark.parametrize("versions", [150, pytest.param(600, marks=pytest.mark.slow)])
def test_the_interval_of_a_change_holds_and_chance_is_seldom_news(versions: int) -> None:
    """Old posts stay, new ones come from the same pot: the true change is nil in the long run of both versions.

    Of so many versions with twelve shares each, the 95 % interval of a share's change must cover nil in about 95 of
    100, and a version must call any share moved in at most 5 of 100, as Bonferroni says.
    """
    random = np.random.default_rng(7)
    covered, told = [], 0
    for _ in range(versions):
        old = {place: random.choice(4, 400, p=[0.3, 0.3, 0.25, 0.15]) for place in ("a", "b", "c")}
        new = {place: np.concatenate([kinds, random.choice(4, 100, p=[0.3, 0.3, 0.25, 0.15])])
               for place, kinds in old.items()}  # fmt: skip
        moves = diff.moves(side(old), side(new))
        assert len(moves) == 12
        covered += [move.low <= 0 <= move.high for move in moves]
        told += any(move.verdict == diff.MOVED for move in moves)
    assert 0.93 < np.mean(covered) < 0.97
    assert told / versions < 0.05 + 2 * math.sqrt(0.05 * 0.95 / versions)


def test_lines_are_json_and_name_the_version(built: Any) -> None:
    rows = population()
    before = built(rows, "before.db")
    found = diff.compare(before, built([*rows, coded(1)], "after.db"))
    lines = [json.loads(json.dumps(row)) for row in diff.lines("1.0", found, {"github": "complete"})]
    assert {row["version"] for row in lines} == {"1.0"}
    assert [row["kind"] for row in lines] == ["new", "compared", "place", "source"]
    assert diff.lines("1.0", None, {}) == []
