"""Shares from read posts and a machine: against ppi-python, against the published formula, and by simulation."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from ppi_py import ppi_mean_ci, ppi_mean_pointestimate
from scipy import stats

from flywheel import data, estimate, ppi, vocabulary
from flywheel.ppi import Sample
from tests.conftest import ROOT, DataFolder, shipped_data
from tests.posts import drawn, write_lines


def mixed(seed: int, read: int = 400, unread: int = 1600, per_cluster: int = 1) -> Sample:
    """A draw with equal weights: what is counted is everything, and the machine is right four times of five."""
    rng = np.random.default_rng(seed)
    count = read + unread
    cluster = np.arange(count) // per_cluster
    rate = rng.beta(1, 3, count)[cluster]
    hit = (rng.random(count) < rate).astype(float)
    said = np.clip(np.where(rng.random(count) < 0.8, hit, 1 - hit) * 0.7 + 0.15 * rng.random(count), 0, 1)
    is_read = rng.permutation(count) < read
    return Sample(
        read=is_read,
        weight=np.where(is_read, count / read, 1.0),
        hit=hit,
        counted=np.ones(count),
        said_hit=said,
        said_counted=np.ones(count),
        cluster=cluster,
        stratum=np.zeros(count, dtype=np.int64),
    )


@pytest.mark.parametrize("power", [None, 0.0, 0.3, 0.8])
def test_a_mean_is_that_of_ppi_python(power: float | None) -> None:
    """Theirs is scaled by the unread part, and takes the normal quantile."""
    sample = mixed(4, read=2000, unread=8000)
    part = float((~sample.read).mean())
    read, unread = sample.read, ~sample.read
    arguments = (sample.hit[read], sample.said_hit[read], sample.said_hit[unread])
    lam = None if power is None else power * part
    found = ppi.powered(sample, power)
    assert found.share == pytest.approx(float(np.squeeze(ppi_mean_pointestimate(*arguments, lam=lam))), abs=1e-4)
    low, high = (float(np.squeeze(end)) for end in ppi_mean_ci(*arguments, alpha=0.05, lam=lam))
    half = stats.norm.ppf(0.975) * np.sqrt(found.variance)
    assert (found.share - half, found.share + half) == pytest.approx((low, high), abs=1e-4)


def test_without_power_a_share_is_that_of_the_read_posts() -> None:
    rng = np.random.default_rng(6)
    sample = mixed(5, per_cluster=4)
    sample = replace(sample, counted=(rng.random(len(sample.read)) < 0.5).astype(float))
    sample = replace(sample, hit=sample.hit * sample.counted)
    found = ppi.powered(sample, 0.0)
    read = sample.read
    own = estimate.ratio(
        sample.weight[read],
        sample.hit[read] > 0,
        sample.counted[read] > 0,
        np.unique(sample.cluster[read], return_inverse=True)[1],
    )
    assert (found.share, found.variance, found.clusters) == pytest.approx((own.share, own.variance, own.clusters))


def test_the_variance_of_a_ratio_is_that_of_a_jackknife_of_clusters() -> None:
    """An independent derivation: leave each cluster out in turn, read and unread posts alike."""
    sample = mixed(7, read=300, unread=900, per_cluster=5)
    rng = np.random.default_rng(8)
    counted = (rng.random(len(sample.read)) < 0.6).astype(float)
    sample = replace(sample, counted=counted, hit=sample.hit * counted, said_counted=0.2 + 0.6 * counted)
    sample = replace(sample, said_hit=sample.said_hit * sample.said_counted)
    whole = ppi.powered(sample)
    shares = []
    for cluster in np.unique(sample.cluster):
        kept = sample.cluster != cluster
        left = Sample(**{name: getattr(sample, name)[kept] for name in Sample.__dataclass_fields__})
        # Each part keeps its own total, as in a draw of a fixed size.
        size, n, rest = len(sample.read), left.read.sum(), (~left.read).sum()
        weight = np.where(left.read, size / n, (size - size * sample.read.mean()) / rest)
        shares.append(ppi.powered(replace(left, weight=weight), whole.power).share)
    k = len(shares)
    jackknife = (k - 1) / k * float(((np.array(shares) - np.mean(shares)) ** 2).sum())
    assert whole.variance == pytest.approx(jackknife, rel=0.1)


def test_it_covers_the_truth_and_is_narrower_than_reading_alone() -> None:
    """300 draws of a tenth from 4,000 clustered posts: 95 % intervals of this population cover 92 to 98 of 100."""
    everything = mixed(9, read=4000, unread=0, per_cluster=3)
    truth = float(everything.hit.mean())
    rng = np.random.default_rng(10)
    covered, alone, widths = 0, 0, []
    for _ in range(300):
        read = rng.permutation(4000) < 400
        sample = replace(everything, read=read, weight=np.where(read, 10.0, 1.0))
        found, plain = ppi.powered(sample), ppi.powered(sample, 0.0)
        for of, name in ((found, "ppi"), (plain, "alone")):
            low, high = estimate.interval(of.share, of.archive_variance, 399)
            held = low <= truth <= high
            covered, alone = covered + (held and name == "ppi"), alone + (held and name == "alone")
        widths.append(found.archive_variance / plain.archive_variance)
    assert 0.92 <= covered / 300 <= 0.98
    assert 0.92 <= alone / 300 <= 0.98
    assert np.mean(widths) < 0.9


def test_the_adjusted_count_undoes_known_errors() -> None:
    """Read posts with 20 % hits, unread ones with 60 %, the machine wrong as often in both: counting its labels is off
    by 10 points or more, the adjusted count is not."""
    rng = np.random.default_rng(11)

    def posts(count: int, rate: float) -> tuple[Any, Any]:
        labels = (rng.random(count) < rate).astype(np.int64)
        return labels, np.where(rng.random(count) < np.where(labels == 1, 0.7, 0.9), labels, 1 - labels)

    labels, said = posts(2000, 0.2)
    _, unread = posts(4000, 0.6)
    share, low, high = ppi.adjusted_count(labels, said, np.ones(2000), unread, 2, hits=(1,), among=(0, 1))
    assert abs(unread.mean() - 0.6) > 0.1
    assert share == pytest.approx(0.6, abs=0.03)
    assert low < 0.6 < high


def test_without_unread_posts_there_is_no_such_row() -> None:
    found = shipped_data()
    assert ppi.read_and_machine(found.posts, [], found.said, found.vocabulary) == []


def test_over_the_shipped_data_the_machine_moves_no_share_beyond_chance() -> None:
    """Some 15 of 100 posts of an archive are left to the machine: shares stay within the published interval, and the
    interval for this archive is never wider by more than a tenth."""
    found = shipped_data()
    words = found.vocabulary
    published = {
        (r.measure, r.subject, r.by, r.value, r.window, r.method): r
        for r in estimate.estimates(
            list(estimate.counted(found.posts, words)), words, Counter(p.archive for p in found.posts if p.archive)
        )
    }
    rows = ppi.read_and_machine(found.posts, found.unread, found.said, words, lambda measure, row: 1e-6)
    assert {row.reader_variance for row in rows if row.method == "process" and row.by == "place" and row.share} == {
        1e-6
    }
    shown = [row for row in rows if row.share is not None and row.method in ("process", "archive")]
    assert {row.value for row in shown} == {"", *(p.slug for p in words.places.values() if p.frame == "population")}
    for row in shown:
        twin = published[row.measure, row.subject, row.by, row.value, row.window, row.method]
        assert (twin.low or 0) <= (row.share or 0) <= (twin.high or 0), row
        if row.method == "archive":
            assert (row.high or 0) - (row.low or 0) < 1.1 * ((twin.high or 0) - (twin.low or 0)), row


def with_unread(data_folder: DataFolder, unread: int) -> data.Data:
    """A Hub of 300 read posts, and unread ones of which the machine says what it says of the read."""
    themes = ["training-dynamics", "training-dynamics", "output-defects", "continual-updates", None]
    read = [
        drawn(
            n,
            author=n,
            theme=theme,
            pain=theme is not None,
            weight=1 + unread / 300,
            ask=None if n % 5 in (0, 1, 4) else "bad",
        )
        for n in range(300)
        for theme in [themes[n % 5]]
    ]
    said = {None: (0.2, 0.8, 0.1, 0.1), "training-dynamics": (0.9, 0.9, 0.05, 0.05)}
    said |= {"output-defects": (0.9, 0.2, 0.7, 0.1), "continual-updates": (0.9, 0.2, 0.1, 0.7)}
    predictions = [
        {"url": row["url"]} | dict(zip(("relevance", "train", "evaluate", "iterate"), said[row["theme"]], strict=True))
        for row in read
    ]
    folder = data_folder(read, predictions=predictions)
    phases = {"training-dynamics": 1, "output-defects": 2, "continual-updates": 3}
    rows = []
    for n in range(300, 300 + unread):
        theme = themes[n % 5]
        row = drawn(n, author=n)
        kept = {name: row[name] for name in ("url", "source", "community", "kind", "set", "frame", "thread", "author")}
        told = {name: said[theme][number] for name, number in phases.items()}
        rows.append(
            kept
            | {"place": "hub", "weight": 1.0, "month": "2025-03", "seen": "opening", "relevance": said[theme][0]}
            | {"signal": theme is not None, "theme": theme or "training-dynamics", "themes": told}
            | {"ask": None, "unsure": False, "model": "x"}
        )
    write_lines(folder / "derived" / "hub.jsonl", rows)
    return data.read(folder)


def test_a_place_with_unread_posts_gets_rows_of_its_own(data_folder: DataFolder) -> None:
    found = with_unread(data_folder, 600)
    words = vocabulary.read(ROOT / "data")
    rows = ppi.read_and_machine(found.posts, found.unread, found.said, words)
    published = estimate.estimates(list(estimate.counted(found.posts, words)), words, {"hf-hub-discussions": 300})
    assert {row.variant for row in rows} == {ppi.VARIANT}
    assert {(row.measure, row.subject) for row in rows} == set(ppi.PREDICTED)
    by_key = {(r.measure, r.subject, r.by, r.value, r.window, r.method): r for r in published}
    for row in rows:
        if row.by == "place":
            twin = by_key[row.measure, row.subject, row.by, row.value, row.window, row.method]
            assert (row.n, row.n_numerator, row.n_machine) == (twin.n, twin.n_numerator, 600)
            # The machine says the same of all posts of a kind, so the shares are those of the read posts.
            assert row.share == pytest.approx(twin.share, abs=1e-6)
            assert (row.low or 0) <= (row.share or 0) <= (row.high or 0)
    process = [row for row in rows if row.method == "process" and row.by == "place"]
    assert all(
        (row.variance or 0) < (by_key[row.measure, row.subject, "place", "hub", row.window, "process"].variance or 0)
        for row in process
    )
