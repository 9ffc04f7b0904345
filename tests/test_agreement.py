"""Agreement of readers: against kept libraries and other code, and over the shipped readings."""

from __future__ import annotations

import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

import krippendorff
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from flywheel import agreement, data, estimate, vocabulary
from flywheel.data import Coding
from tests.conftest import ROOT, DataFolder, shipped_data
from tests.posts import drawn

WORDS = vocabulary.read(ROOT / "data")
LABELS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=12, max_size=80)


def ac1(pairs: list[tuple[Any, Any]]) -> float:
    """Gwet's formula once more, label by label."""
    labels = {label for pair in pairs for label in pair}
    part = Counter(label for pair in pairs for label in pair)
    chance = sum((part[k] / (2 * len(pairs))) * (1 - part[k] / (2 * len(pairs))) for k in labels) / (len(labels) - 1)
    observed = sum(a == b for a, b in pairs) / len(pairs)
    return float((observed - chance) / (1 - chance))


def table(pairs: list[tuple[Any, Any]]) -> Any:
    labels = sorted({label for pair in pairs for label in pair})
    counts = np.zeros((len(labels), len(labels)))
    for first, second in pairs:
        counts[labels.index(first), labels.index(second)] += 1
    return counts


def by_library(pairs: list[tuple[Any, Any]]) -> dict[str, float]:
    labels = sorted({label for pair in pairs for label in pair})
    numbers = np.array([[labels.index(label) for label in pair] for pair in pairs]).T
    return {
        "alpha": float(krippendorff.alpha(numbers, level_of_measurement="nominal")),
        "kappa": float(cohen_kappa_score(*numbers)),
        "ac1": ac1(pairs),
    }


@settings(max_examples=60, deadline=None)
@given(LABELS)
def test_coefficients_are_those_of_the_libraries(pairs: list[tuple[int, int]]) -> None:
    if len({label for pair in pairs for label in pair}) > 1:
        found = agreement.coefficients(table(pairs))
        for name, expected in by_library(pairs).items():
            assert float(found[name]) == pytest.approx(expected, abs=1e-6, nan_ok=True), name


def test_a_textbook_example() -> None:
    """Gwet's table of 125 charts: 118 and 2 agreed, 5 and 0 not; kappa fails here and AC1 does not."""
    found = agreement.coefficients(np.array([[118.0, 5.0], [2.0, 0.0]]))
    assert {name: round(float(value), 2) for name, value in found.items()} == {
        "share": 0.94,
        "alpha": -0.02,
        "kappa": -0.02,
        "ac1": 0.94,
    }


def shipped() -> list[agreement.Agreement]:
    found = shipped_data()
    _, rules = estimate.clusters(list(estimate.counted(found.posts, WORDS)), WORDS)
    return agreement.agreement(found.posts, found.codings, WORDS, rules)


def test_the_shipped_readings_give_the_figures_of_the_libraries() -> None:
    found = shipped_data()
    seen = {post.id: post.seen for post in found.posts}
    by_post: dict[str, dict[int, Coding]] = {}
    for coding in found.codings:
        by_post.setdefault(coding.id, {})[coding.reading] = coding
    rows = {(r.question, r.value, r.coefficient): r for r in shipped()}
    for kind in ("opening", "title", "comment"):
        twice = [(r[1], r[2]) for post, r in by_post.items() if {1, 2} <= r.keys() and seen[post] == kind]
        expected = {
            "signal or not": [(str(a.pain), str(b.pain)) for a, b in twice],
            "phase, none included": [(str(WORDS.phase_of(a.theme)), str(WORDS.phase_of(b.theme))) for a, b in twice],
            "theme, where both say signal": [(str(a.theme), str(b.theme)) for a, b in twice if a.pain and b.pain],
        }
        for question, pairs in expected.items():
            for coefficient, value in by_library(pairs).items():
                row = rows[question, kind, coefficient]
                assert row.n == len(pairs)
                assert row.figure == pytest.approx(value, abs=1e-4), (question, kind, coefficient)


def test_the_posts_that_either_reading_puts_after_the_run(database: Path) -> None:
    """The same figure in plain SQL on the table of readings."""
    with sqlite3.connect(database) as db:
        same, n = db.execute(
            """select sum(a.phase is b.phase), count(*) from codings a join codings b on b.post = a.post
            where a.reading = 1 and b.reading = 2 and (a.phase in ('evaluate', 'iterate')
            or b.phase in ('evaluate', 'iterate'))"""
        ).fetchone()
    (row,) = (r for r in shipped() if r.question == "phase, where either says after the run" and not r.by)
    assert (row.same, row.n) == (same, n)


@pytest.mark.parametrize(
    ("question", "of"),
    [
        ("signal", "signal or not"),
        ("phase", "phase, none included"),
        ("theme", "theme, where both say signal"),
        ("ask", "the second question"),
    ],
)
def test_confusion_and_disagreements_add_up_to_the_agreement(database: Path, question: str, of: str) -> None:
    def rows(name: str) -> list[dict[str, Any]]:
        sql = (ROOT / "canned_queries" / f"{name}.sql").read_text()
        with sqlite3.connect(database) as db:
            db.row_factory = sqlite3.Row
            return [dict(row) for row in db.execute(sql, {"question": question, "by": ""})]

    (row,) = (row for row in rows("agreement") if row["question"] == of)
    table = rows("reader_confusion")
    assert sum(cell["n"] for cell in table) == row["n"]
    assert sum(cell["n"] for cell in table if cell["first_reading"] == cell["second_reading"]) == row["same"]
    apart = rows("disagreements")
    assert all(post["first_reading"] != post["second_reading"] for post in apart)
    # Themes are listed too where only one reading says signal.
    assert len(apart) == row["n"] - row["same"] if question != "theme" else len(apart) > row["n"] - row["same"]


def test_a_person_is_set_beside_what_stands(data_folder: DataFolder) -> None:
    """40 posts, all signals of one theme; a person agrees on 36, says another theme of three and no signal of one."""
    rows = [drawn(n) for n in range(40)]
    said: dict[int, dict[str, Any]] = {n: {"pain": True, "theme": "overfitting", "ask": "bad"} for n in (1, 2, 3)}
    said[4] = {"pain": False, "why": "howto"}
    agreed = {"pain": True, "theme": rows[0]["theme"]}
    person = {"reading": 6, "coder": "P", "reader": "person"}
    codings = [{"url": row["url"]} | person | said.get(n, agreed) for n, row in enumerate(rows)]
    found = data.read(data_folder(rows, codings=codings))
    rows_of = agreement.agreement(found.posts, found.codings, found.vocabulary, {})
    beside = {
        r.question.removeprefix("a person beside what stands: "): (r.same, r.n)
        for r in rows_of
        if r.question.startswith("a person") and not r.by and r.coefficient == "share"
    }
    assert beside == {
        "signal or not": (39, 40),
        "phase, none included": (36, 40),
        "theme, where both say signal": (36, 39),
    }
    assert all(r.n == 0 for r in rows_of if not r.question.startswith("a person"))


def test_intervals_hold_their_figure_and_thin_cells_have_none() -> None:
    rows = shipped()
    assert rows == shipped(), "a seeded bootstrap"
    for row in rows:
        if row.low is not None and row.high is not None:
            assert row.low <= (row.figure or 0) <= row.high, row
        assert (row.figure is None) >= (row.n < estimate.ABOUT), row
        assert row.coefficient == "share" or row.same < row.n or row.low is None
    assert any(row.enough == "few" for row in rows)
    assert any(row.enough == "about" for row in rows)


def test_the_interval_of_alpha_covers_it() -> None:
    """200 rounds of 60 clusters: the bootstrap interval holds the alpha of very many posts in 90 to 98 of 100."""
    rng = np.random.default_rng(8)

    def clusters(count: int) -> Any:
        sizes = rng.integers(1, 5, count)
        error = np.repeat(rng.beta(1, 6, count), sizes)
        truth = rng.choice(3, len(error), p=[0.6, 0.3, 0.1])
        other = rng.choice(3, len(error), p=[0.6, 0.3, 0.1])
        second = np.where(rng.random(len(error)) < error, other, truth)
        return agreement._tables(
            list(zip(map(str, truth), map(str, second), strict=True)), np.repeat(np.arange(count), sizes)
        )

    target = float(agreement.coefficients(clusters(30_000).sum(axis=0))["alpha"])
    held = 0
    for _ in range(200):
        tables = clusters(60)
        low, high = np.nanquantile(agreement.coefficients(agreement._drawn(tables))["alpha"], (0.025, 0.975))
        held += low <= target <= high
    assert 0.90 <= held / 200 <= 0.98
