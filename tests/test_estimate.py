"""Shares and intervals: against other code, against a bootstrap, against SQL, and by what must always hold."""

from __future__ import annotations

import json
import math
import random
import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from flywheel import data, estimate, vocabulary
from flywheel.estimate import Estimate
from flywheel.signal import Post
from tests.conftest import ROOT, DataFolder
from tests.posts import coded, drawn

PHASE = {t.slug: t.phase for t in vocabulary.read(ROOT / "data").themes.values()}


def lines_of(name: str) -> Iterator[dict[str, Any]]:
    path = ROOT / "data" / name
    if path.exists():
        yield from map(json.loads, path.read_text(encoding="utf-8").splitlines())


def population() -> list[dict[str, Any]]:
    """The drawn posts without the copies that data/duplicates.jsonl folds."""
    pairs: dict[str, bool] = {}
    for line in lines_of("duplicates.jsonl"):
        pairs[line["drop"]] = not line.get("undo", False)
    return [row for row in lines_of("signals/population.jsonl") if not pairs.get(row["url"])]


def by_hand(rows: list[dict[str, Any]], hit: str, key: str, readers: float) -> tuple[float, float, float]:
    """Evidence rule 7 once more, in plain Python: share, low, high. `readers` is what readers' switching adds."""
    total = math.fsum(r["weight"] for r in rows)
    share = math.fsum(r["weight"] for r in rows if PHASE[r["theme"]] == hit) / total
    residuals: Counter[Any] = Counter()
    parts: Counter[Any] = Counter()
    for r in rows:
        cluster = r["thread"] if key == "author" and r["author"] is None else r[key]
        residuals[cluster] += r["weight"] * ((PHASE[r["theme"]] == hit) - share)
        parts[cluster] += r["weight"] / total
    k = len(residuals)
    se = math.sqrt(math.fsum(u * u / (1 - parts[c]) for c, u in residuals.items()) / total**2 + readers)
    half = stats.t.ppf(0.975, k - 1) * se / (share * (1 - share))
    logit = math.log(share / (1 - share))
    return share, 1 / (1 + math.exp(half - logit)), 1 / (1 + math.exp(-half - logit))


@pytest.mark.parametrize(
    ("place", "sets", "key"),
    [
        ("reddit", {"ai-news-2026", "localllama-archive", "localllama-comments"}, "author"),
        ("hub", {"hf-hub-discussions"}, "community"),
        ("openai-forum", {"openai-forum-titles"}, "thread"),
        ("github-engines", {"llm-serving-issues", "ml-github-issues"}, "community"),
    ],
)
def test_published_places_agree_with_other_code(database: Path, place: str, sets: set[str], key: str) -> None:
    rows = [r for r in population() if r["set"] in sets and r["pain"] and r["theme"]]
    after = [r for r in rows if PHASE[r["theme"]] != "train"]
    asked = {("of_100", phase): rows for phase in ("train", "evaluate", "iterate")} | {("headline", "evaluate"): after}
    with sqlite3.connect(database) as db:
        for (measure, subject), counted in asked.items():
            *found, readers = db.execute(
                """select share, low, high, reader_variance from estimates join windows using (window)
                where measure = ? and subject = ? and value = ? and role = 'all'
                and method = 'process' and variant = ''""",
                (measure, subject, place),
            ).fetchone()
            assert readers > 0 or place == "hub"
            assert tuple(found) == pytest.approx(by_hand(counted, subject, key, readers), abs=2e-4), (measure, subject)


def test_the_mean_is_of_places_and_not_of_posts(database: Path) -> None:
    with sqlite3.connect(database) as db:
        shares = [
            row[0]
            for row in db.execute(
                """select share from estimates join windows using (window) where measure = 'headline' and role = 'all'
                and method = 'process' and variant = '' and frame = 'population' and "by" = 'place'"""
            )
        ]
        mean, n = db.execute(
            """select share, n_places from estimates join windows using (window) where measure = 'headline'
            and role = 'all' and method = 'process' and variant = '' and "by" = ''"""
        ).fetchone()
    assert n == len(shares) >= estimate.MEAN_OF
    assert mean == pytest.approx(sum(shares) / len(shares), abs=2e-6)


def test_sql_on_cells_gives_the_published_interval(database: Path) -> None:
    """The formula of the build and the formula of the canned query are the same one."""
    sql = (ROOT / "canned_queries" / "recount.sql").read_text()
    with sqlite3.connect(database) as db:
        published = db.execute(
            """select value, measure, subject, share, low, high, n, clusters from estimates join windows using (window)
            where "by" = 'place' and method = 'process' and variant = '' and role = 'all' and enough <> 'few'
            and measure in ('of_100', 'headline', 'theme', 'ask')"""
        ).fetchall()
        for place, measure, subject, *figures in published:
            among = "after" if measure in ("headline", "ask") else ""
            found = db.execute(sql, {"place": place, "among": among, "subject": subject}).fetchone()
            assert found[:5] == pytest.approx(figures, abs=2e-6), (place, measure, subject)
    assert len(published) > 100


def clustered(seed: int, clusters: int) -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 9, clusters)
    rates = rng.beta(2, 3, clusters)
    cluster = np.repeat(np.arange(clusters), sizes)
    return rng.uniform(0.5, 2, len(cluster)), rng.random(len(cluster)) < rates[cluster], cluster


def test_a_bootstrap_of_clusters_agrees_with_the_formula() -> None:
    weight, hit, cluster = clustered(seed=20, clusters=120)
    found = estimate.ratio(weight, hit, np.ones_like(hit), cluster)
    w, y = np.bincount(cluster, weight), np.bincount(cluster, weight * hit)
    draws = np.random.default_rng(21).integers(0, len(w), (4000, len(w)))
    spread = (y[draws].sum(1) / w[draws].sum(1)).std(ddof=1)
    assert math.sqrt(found.variance) == pytest.approx(spread, rel=0.05)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 40))
def test_an_interval_holds_its_share_and_forgets_the_order(seed: int, clusters: int) -> None:
    weight, hit, cluster = clustered(seed, clusters)
    counted = np.ones_like(hit)
    found = estimate.ratio(weight, hit, counted, cluster)
    order = np.random.default_rng(seed).permutation(len(hit))
    again = estimate.ratio(weight[order], hit[order], counted, cluster[order])
    assert (again.share, again.variance, again.clusters) == pytest.approx((found.share, found.variance, found.clusters))
    if 0 < found.share < 1:
        low, high = estimate.interval(found.share, found.variance, found.clusters - 1)
        assert 0 <= low <= found.share <= high <= 1


def test_student_t_is_that_of_the_tables() -> None:
    assert estimate.quantile(10) == pytest.approx(2.228139, abs=1e-6)
    assert estimate.quantile(57.8) == pytest.approx(stats.t.ppf(0.975, 57), abs=1e-6)
    assert estimate.quantile(938) == pytest.approx(stats.t.ppf(0.975, 938), abs=2e-3)


def test_none_of_k_draws_gives_the_exact_bound() -> None:
    assert estimate.open_bound(30) == pytest.approx(stats.beta.ppf(0.975, 1, 30))


def test_a_mean_with_an_empty_place_takes_its_bounds_from_its_places() -> None:
    """Simulated where it is hardest: four places with shares of 0.2 and 0.5 %, 200 independent draws each. The interval
    covers 92.6 of 100 there, short of 95, where adding variances on the logit scale gives ends that mean nothing."""
    truth = np.array([0.005, 0.002, 0.002, 0.002])
    hits = np.random.default_rng(5).binomial(200, truth, (2000, 4))
    held = 0
    for row in hits / 200:
        bounds = [
            estimate.interval(p, p * (1 - p) / 199, 199) if p else (0.0, estimate.open_bound(200)) for p in row.tolist()
        ]
        low, high = estimate.mean_of_bounds(row.tolist(), [b[0] for b in bounds], [b[1] for b in bounds])
        held += low <= truth.mean() <= high
    assert 0.92 < held / len(hits) < 0.99


@pytest.mark.parametrize(
    ("n", "threads", "word"), [(9, 9, "few"), (30, 2, "few"), (10, 3, "about"), (29, 29, "about"), (30, 3, "enough")]
)
def test_thin_shares_are_said_to_be_thin(n: int, threads: int, word: str) -> None:
    assert estimate.enough(n, threads) == word


def estimates_of(folder: Path) -> tuple[list[Estimate], list[Post]]:
    found = data.read(folder)
    posts = list(estimate.counted(found.posts, found.vocabulary))
    read = Counter(post.archive for post in found.posts if post.archive)
    return estimate.estimates(posts, found.vocabulary, read), posts


def find(rows: list[Estimate], **wanted: Any) -> list[Estimate]:
    return [row for row in rows if all(getattr(row, name) == value for name, value in wanted.items())]


def test_targeted_and_themeless_rows_are_in_no_share(data_folder: DataFolder) -> None:
    rows = [
        *(drawn(n) for n in range(40)),
        *(drawn(100 + n, theme=None) for n in range(9)),
        *(coded(n, frame="targeted", theme="overfitting", ask="bad", run=True) for n in range(40)),
    ]
    shares, posts = estimates_of(data_folder(rows))
    assert len(posts) == 40
    assert {row.value for row in find(shares, by="place")} == {"hub"}
    assert find(shares, measure="of_100", subject="train", by="place", method="process")[0].share == 1.0


def test_a_mean_needs_three_thick_places(data_folder: DataFolder) -> None:
    """With one place there is a row for the mean, and it holds no share."""
    shares, _ = estimates_of(data_folder([drawn(n) for n in range(60)]))
    mean = find(shares, measure="of_100", subject="train", by="", method="process")
    assert [(row.share, row.low, row.enough, row.n_places) for row in mean] == [(None, None, "few", 1)]


def test_undated_rows_count_in_all_years_and_in_no_other_window(data_folder: DataFolder) -> None:
    rows = [
        *(drawn(n, date=None, date_of="unknown") for n in range(10)),
        *(drawn(10 + n) for n in range(30)),
        *(drawn(50 + n, date="2022-06-01") for n in range(5)),
    ]
    shares, posts = estimates_of(data_folder(rows))
    everything, recent = estimate.windows(posts)
    train = {row.window: row.n for row in find(shares, measure="of_100", subject="train", by="place", method="process")}
    assert (everything.role, recent.role) == ("all", "recent")
    assert train == {everything.window: 45, recent.window: 30}


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10**6))
def test_phases_and_themes_add_up_to_one(seed: int) -> None:
    themes = list(PHASE)
    rng = random.Random(seed)
    words = vocabulary.read(ROOT / "data")
    posts = [
        Post(
            url="", id=str(n), thread=f"t{rng.randrange(40)}", source="reddit", community="r/x", kind="post",
            frame="population", verdict="signal", seen="opening", sure="high", coder="A", month="2025-07",
            theme=(theme := rng.choice(themes)), phase=PHASE[theme], ask="bad" if PHASE[theme] != "train" else None,
            archive="localllama-archive", place="reddit", weight=rng.choice([1.0, 1.5]), author=rng.randrange(30),
        )
        for n in range(80)
    ]  # fmt: skip
    shares = estimate.estimates(posts, words, {"localllama-archive": 200})
    for measure in ("of_100", "theme"):
        for method in ("process", "archive"):
            found = find(shares, measure=measure, by="place", method=method)
            assert math.fsum(row.share or 0 for row in found) == pytest.approx(1)
            assert all((row.low or 0) <= (row.share or 0) <= (row.high or 0) for row in found)
    rng.shuffle(posts)
    again = estimate.estimates(posts, words, {"localllama-archive": 200})
    assert [row.share or 0 for row in again] == pytest.approx([row.share or 0 for row in shares])


def test_a_want_that_rests_on_a_theme_is_as_large_as_the_theme(database: Path) -> None:
    with sqlite3.connect(database) as db:
        db.row_factory = sqlite3.Row
        wants = db.execute((ROOT / "canned_queries" / "want_sizes.sql").read_text()).fetchall()
        by_theme = [row for row in wants if row["rests_on"] == "theme"]
        for row in by_theme:
            published = db.execute(
                """select share, low, high, n, n_numerator from estimates join windows using (window) where role = 'all'
                and measure = 'theme' and subject = ? and value = 'openai-forum' and method = 'process'""",
                (row["behind"],),
            ).fetchone()
            found = [row[f"forum_{name}"] for name in ("share", "low", "high", "n", "counted")]
            assert found == pytest.approx(tuple(published), abs=2e-6), row["want"]
        bad = next(row for row in wants if row["behind"] == "bad")
        (asked,) = db.execute(
            "select sum(weight) filter (where ask = 'bad') / sum(weight) from cells where place = 'reddit'"
        ).fetchone()
    assert len(by_theme) > 5
    assert bad["reddit_share"] == pytest.approx(asked, abs=2e-6)
