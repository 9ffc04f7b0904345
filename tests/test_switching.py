"""What readers' switching adds to a share: against simulated re-readings, and over the shipped readings."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from flywheel import estimate, switching, vocabulary
from flywheel.data import Coding
from flywheel.signal import Post
from tests.conftest import ROOT, shipped_data

WORDS = vocabulary.read(ROOT / "data")
MEASURES = {measure.name: measure for measure in estimate.measures(WORDS)}
THEMES = (None, "training-dynamics", "output-defects", "continual-updates")


def post(number: int, theme: str | None, weight: float) -> Post:
    phase = WORDS.phase_of(theme)
    return Post(
        url="", id=str(number), thread=f"t{number}", source="hf_hub", community="a/b", kind="discussion",
        frame="population", verdict="signal" if theme else "not_a_signal", seen="opening", sure="high", coder="A",
        theme=theme, phase=phase, ask="bad" if phase in ("evaluate", "iterate") else None, place="hub",
        archive="hf-hub-discussions", weight=weight,
    )  # fmt: skip


def coding(number: int, reading: int, theme: str | None, ask: str | None = None) -> Coding:
    return Coding(str(number), reading, "A", theme is not None, theme, (), None, ask, None, None, None)


def read(rng: Any, odds: Any) -> Any:
    """One reading of every post: the number of a theme, drawn from what readers say of the post."""
    return (odds.cumsum(axis=1) > rng.random((len(odds), 1))).argmax(axis=1)


def shares(weights: Any, said: Any) -> dict[str, tuple[float, float]]:
    """Share and denominator of three measures."""
    _, train, evaluate, iterate = np.bincount(said, weights, minlength=4).tolist()
    total, after = train + evaluate + iterate, evaluate + iterate
    return {
        "of_100": (evaluate / total, total),
        "after_run": (after / total, total),
        "headline": (evaluate / after, after),
    }


def test_it_is_the_variance_of_the_share_over_readings_of_the_same_posts() -> None:
    """600 posts, each with odds of its own for what readers make of it; a quarter read twice. The mean of 100 estimates
    is within 10 % of the variance that the share has over 4,000 readings of all of them."""
    rng = np.random.default_rng(3)
    count = 600
    main = rng.choice(4, count, p=[0.5, 0.25, 0.15, 0.10])
    odds = np.full((count, 4), 0.04)
    odds[np.arange(count), main] = 0.88
    weights = rng.choice([1.0, 1.8], count)
    subject = {"of_100": "evaluate", "after_run": "after_run", "headline": "evaluate"}
    found: dict[str, list[float]] = {name: [] for name in subject}
    estimated: dict[str, list[float]] = {name: [] for name in subject}
    for _ in range(4000):
        for name, (share, _) in shares(weights, read(rng, odds)).items():
            found[name].append(share)
    for _ in range(100):
        first, second = read(rng, odds), read(rng, odds)
        posts = [post(n, THEMES[said], weights[n]) for n, said in enumerate(first)]
        twice = rng.choice(count, count // 4, replace=False).tolist()
        codings = [coding(n, reading, THEMES[said[n]]) for n in twice for reading, said in ((1, first), (2, second))]
        readings = switching.readings(posts, codings, WORDS)["hub"]
        squares = switching.squares(posts, WORDS)["hub"]
        assert len(readings) == count // 4
        for name, (share, denominator) in shares(weights, first).items():
            estimated[name].append(
                switching.reader_variance(MEASURES[name], subject[name], share, denominator, readings, squares)
            )
    for name in subject:
        assert np.mean(estimated[name]) == pytest.approx(np.var(found[name], ddof=1), rel=0.1), name


def test_readers_who_agree_add_nothing_and_an_ask_that_switches_adds_to_asks_alone() -> None:
    posts = [post(n, THEMES[1 + n % 3], 1.0) for n in range(30)]
    codings = [coding(n, reading, p.theme) for n, p in enumerate(posts) for reading in (1, 2)]
    asks = [
        coding(n, reading, p.theme, "judge" if n == 1 and reading == 5 else "bad")
        for n, p in enumerate(posts)
        for reading in (4, 5)
        if p.ask
    ]
    twice = switching.readings(posts, codings + asks, WORDS)["hub"]
    squares = switching.squares(posts, WORDS)["hub"]
    assert switching.reader_variance(MEASURES["headline"], "evaluate", 0.5, 20, twice, squares) == 0
    # One of twenty posts switches: a difference of one, squared, halved, over the denominator squared.
    expected = 0.5 / 20**2
    assert switching.reader_variance(MEASURES["ask"], "bad", 1.0, 20, twice, squares) == pytest.approx(expected)


def test_a_place_that_nobody_read_twice_is_not_there() -> None:
    once = [replace(post(1, THEMES[1], 1.0)), post(2, None, 1.0)]
    assert switching.readings(once, [coding(1, 1, THEMES[1])], WORDS) == {}


def test_the_shipped_readings_cover_the_places_of_the_population() -> None:
    found = shipped_data()
    twice = switching.readings(found.posts, found.codings, WORDS)
    population = {place.slug for place in WORDS.places.values() if place.frame == "population"}
    assert set(twice) == population
    assert all(len(pair.asks[0]) for pair in twice.values())
