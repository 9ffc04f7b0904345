"""Every choice that a critic would name, made otherwise: the sensitivity rows of `estimates`.

A variant turns the counted rows into other rows (fewer, other weights, other themes) and says which places enter
its mean. The estimator is that of `estimate`, with the clusters of the published rows; so a difference is the
choice's alone. A mean takes the places that stay thick enough and is blank below three.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np

from flywheel import estimate, ppi
from flywheel.data import Coding
from flywheel.estimate import Bools, Column, Estimate, Floats, Group, Measure, ReaderPart, Rows
from flywheel.signal import Post
from flywheel.vocabulary import Vocabulary

THEME, PLACE = "where a theme belongs", "which places count, and how"
READER, SAMPLING = "who read, and how surely", "one vote an author or thread"
"""What a choice is about, in the words of the pages."""


@dataclass(frozen=True)
class Base:
    """What the published estimates rest on. `posts` are all distinct posts that were read, `counted` the signals that
    carry a share, `rules` says by what each place's rows are clustered."""

    posts: Sequence[Post]
    counted: Sequence[Post]
    codings: Sequence[Coding]
    rules: Mapping[str, str]
    vocabulary: Vocabulary
    readers: ReaderPart = estimate.nobody

    @cached_property
    def rows(self) -> Rows:
        return self.of(self.counted)

    def of(self, posts: Sequence[Post], unit: Sequence[int] | None = None) -> Rows:
        """Rows with their published clusters; `unit` numbers the post of each row where one post has several."""
        rows = Rows.of(posts)
        cluster = Column.of([estimate.cluster_name(post, self.rules.get(post.place or "", "")) for post in posts])
        number = None if unit is None else np.array(unit, dtype=np.int64)
        return Rows({**rows.columns, "cluster": cluster}, rows.weight, number)


@dataclass(frozen=True)
class Variant:
    """One choice made otherwise. `places` are the places that enter the mean, null for those that always do; `pooled`
    counts all rows as one instead; `mean_only` leaves the places as they are published."""

    slug: str
    family: str
    title: str
    description: str
    rows: Callable[[Base], Rows] = field(repr=False)
    places: Collection[str] | None = None
    pooled: bool = False
    mean_only: bool = False
    asks: bool = True
    """Whether the second question can be given too; a theme that comes after a run only here was never asked it."""
    warning: bool = False
    """No estimate, but what a careless count would give."""
    known: Callable[[Rows], Bools] | None = field(default=None, repr=False)
    """The rows for which it is known what the choice asks, where that is not all."""


def _only(test: Callable[[Rows], Bools]) -> Callable[[Base], Rows]:
    return lambda base: base.rows.where(test(base.rows))


def _not(column: str, value: str) -> Callable[[Base], Rows]:
    return _only(lambda rows: ~rows[column].is_(value))


def _same(base: Base) -> Rows:
    return base.rows


def _unweighted(base: Base) -> Rows:
    return replace(base.rows, weight=np.ones(len(base.rows)))


def _one_vote(column: str) -> Callable[[Base], Rows]:
    """Posts of one author (or thread) at one place share the weight of their mean post; where nobody knows the author
    each post keeps its own."""

    def rows(base: Base) -> Rows:
        places, who = base.rows["place"], base.rows[column]
        codes = places.codes * len(who.labels) + who.codes
        _, inverse, count = np.unique(codes, return_inverse=True, return_counts=True)
        share: Floats = np.where(who.is_(""), 1.0, count[inverse].astype(np.float64))
        return replace(base.rows, weight=base.rows.weight / share)

    return rows


def _moved(theme: str, phase: str) -> Callable[[Base], Rows]:
    """One theme counted in another phase."""

    def rows(base: Base) -> Rows:
        old = base.rows["phase"]
        labels = tuple(sorted({*old.labels, phase}))
        codes = np.array([labels.index(label) for label in old.labels])[old.codes]
        new = Column(np.where(base.rows["theme"].is_(theme), labels.index(phase), codes), labels)
        return replace(base.rows, columns={**base.rows.columns, "phase": new})

    return rows


def _crash_reversed(base: Base) -> Rows:
    """A train signal that bears a theme from after a run too counts under that theme."""
    phase_of = base.vocabulary.phase_of

    def other(post: Post) -> Post:
        after = next((theme for theme in post.also if phase_of(theme) != "train"), None)
        return replace(post, theme=after, phase=phase_of(after)) if after and post.phase == "train" else post

    return base.of([other(post) for post in base.counted])


def _every_theme(posts: Iterable[Post], split: bool, vocabulary: Vocabulary) -> tuple[list[Post], list[int]]:
    """A row for each theme of each post; `split` shares the post's weight among them."""
    rows = [
        (
            replace(
                post,
                theme=theme,
                phase=vocabulary.phase_of(theme),
                weight=post.weight / len(post.themes) if split else 1.0,
            ),
            number,
        )
        for number, post in enumerate(posts)
        for theme in post.themes
    ]
    return [post for post, _ in rows], [number for _, number in rows]


def _any_theme(base: Base) -> Rows:
    return base.of(*_every_theme(base.counted, True, base.vocabulary))


def _second_readings(base: Base) -> Rows:
    """Reading 2 for the published label where a post was read twice blind, reading 5 for the second question."""
    second = {coding.id: coding for coding in base.codings if coding.reading == 2}
    asked = {coding.id: coding.ask for coding in base.codings if coding.reading == 5}

    def other(post: Post) -> Post:
        if coding := second.get(post.id):
            phase = base.vocabulary.phase_of(coding.theme)
            verdict: Literal["signal", "not_a_signal"] = "signal" if coding.pain else "not_a_signal"
            post = replace(post, verdict=verdict, theme=coding.theme, phase=phase, also=coding.also, ask=post.ask)
        return replace(post, ask=asked.get(post.id) or post.ask)

    return base.of(list(estimate.counted(map(other, base.posts), base.vocabulary)))


def _targeted(base: Base) -> Rows:
    extra = [
        post
        for post in base.posts
        if post.verdict == "signal"
        and post.theme
        and post.frame == "targeted"
        and post.place
        and base.vocabulary.places[post.place].frame == "neutral"
    ]
    return base.of([*base.counted, *extra])


def _first_telling(base: Base) -> Rows:
    """All public signals however they were found, each theme that a post bears counted once, as a count of keywords
    would."""
    public = [post for post in base.posts if post.verdict == "signal" and post.theme and post.corpus == "public"]
    return base.of(*_every_theme(public, False, base.vocabulary))


def variants(vocabulary: Vocabulary) -> list[Variant]:
    """Every variant, as data, in the order in which pages list them."""
    searched = [place.slug for place in vocabulary.places.values() if place.frame == "neutral"]
    slugs = estimate.drawn(vocabulary)
    return [
        *(
            Variant(
                f"without-{place.slug}",
                PLACE,
                f"without {place.short}",
                "The mean of the other places.",
                _not("place", place.slug),
                [slug for slug in slugs if slug != place.slug],
                mean_only=True,
            )
            for place in map(vocabulary.places.__getitem__, slugs)
        ),
        Variant(
            "by-posts",
            PLACE,
            "by posts, not by places",
            "All posts of the places in the mean as one heap, each with its weight, so that large archives decide.",
            _only(lambda rows: rows["frame"].is_("population")),
            pooled=True,
            mean_only=True,
        ),
        Variant(
            "searched-in",
            PLACE,
            "searched places in",
            "The places that were searched by neutral queries enter the mean like the others.",
            _same,
            [*slugs, *searched],
            mean_only=True,
        ),
        Variant(
            "targeted-in",
            PLACE,
            "searches for a theme in",
            "A warning, not an estimate: posts found by searches that named a theme count too, and their place enters.",
            _targeted,
            [*slugs, *searched],
            warning=True,
        ),
        Variant(
            "titles-out",
            PLACE,
            "titles out",
            "Without posts of which only the title was read.",
            _not("seen", "title"),
        ),
        Variant("comments-out", PLACE, "comments out", "Openings and titles alone.", _not("seen", "comment")),
        Variant(
            "per-author",
            SAMPLING,
            "one vote an author",
            "All posts of one author at one place share one post's weight, where the author is known.",
            _one_vote("author"),
            known=lambda rows: ~rows["author"].is_(""),
        ),
        Variant(
            "per-thread",
            SAMPLING,
            "one vote a thread",
            "All posts of one thread share one post's weight.",
            _one_vote("thread"),
        ),
        Variant(
            "sure-only",
            READER,
            "sure readings only",
            "Without posts whose reader called the theme unsure.",
            _not("sure", "low"),
        ),
        Variant(
            "second-readings",
            READER,
            "second readings",
            "Where a post was read twice, blind, the second reading in place of the published one.",
            _second_readings,
        ),
        Variant(
            "any-theme",
            THEME,
            "any theme, not the main one",
            "A post's weight is split evenly among all themes it bears.",
            _any_theme,
            asks=False,
        ),
        Variant(
            "crash-reversed",
            THEME,
            "crashes count after the run",
            "A post about getting a run done that also bears a theme from after a run counts there.",
            _crash_reversed,
            asks=False,
        ),
        Variant(
            "first-telling",
            THEME,
            "counted as the first telling did",
            "As we map it: every public post however found, each theme it bears counted once, no weights, one heap.",
            _first_telling,
            pooled=True,
            mean_only=True,
            asks=False,
        ),
        *(
            Variant(
                f"{theme.slug}-as-{phase.slug}",
                THEME,
                f"{theme.title} as {phase.title.lower()}",
                f"The theme counts in {phase.title.lower()}, not in {theme.phase}.",
                _moved(theme.slug, phase.slug),
                asks=False,
            )
            for theme in vocabulary.themes.values()
            for phase in vocabulary.phases.values()
            if phase.slug != theme.phase
        ),
    ]


def estimates(base: Base, window: estimate.Window) -> list[Estimate]:
    """The rows of every variant in one window (all months), in order of their key."""
    words = base.vocabulary
    asked = [measure for measure in estimate.measures(words) if measure.name != "theme"]
    found: list[Estimate] = []
    for variant in variants(words):
        rows = variant.rows(base)
        kept = [measure for measure in asked if variant.asks or measure.name != "ask"]
        if variant.pooled:
            found += _pooled(rows, kept, variant, window, base)
            continue
        entering = estimate.drawn(words) if variant.places is None else variant.places
        places = list(_of_places(rows, kept, variant, window, base))
        mean = [row for row in estimate.means(places, entering) if row.method == "process"]
        found += mean if variant.mean_only else [*places, *mean]
    return sorted(found, key=estimate.key)


def _of_places(
    rows: Rows, measures: Sequence[Measure], variant: Variant, window: estimate.Window, base: Base
) -> Iterator[Estimate]:
    for slug, place in base.vocabulary.places.items():
        here = rows.where(rows["place"].is_(slug))
        if len(here) or place.frame == "population":
            group = Group("place", slug, window.window, place.frame, variant.slug)
            for measure in measures:
                codes = here["cluster"].codes
                yield from estimate.of_group(measure, here, codes, group, base.vocabulary, readers=base.readers)


def _pooled(
    rows: Rows, measures: Sequence[Measure], variant: Variant, window: estimate.Window, base: Base
) -> Iterator[Estimate]:
    """One heap; its readers' part adds those of its places by their part of the heap."""
    places = rows["place"]

    def readers(measure: Measure, row: Estimate) -> float | None:
        weight = rows.weight * measure.among(rows)
        total = 0.0
        for place in places.present():
            denominator = float(weight[places.is_(place)].sum())
            if denominator and (part := base.readers(measure, replace(row, value=place, denominator=denominator))):
                total += part * (denominator / row.denominator) ** 2
        return total or None

    frames = ", ".join(sorted(rows["frame"].present(), reverse=True))
    group = Group("", "", window.window, frames, variant.slug)
    for measure in measures:
        for row in estimate.of_group(measure, rows, rows["cluster"].codes, group, base.vocabulary, readers=readers):
            yield replace(row, n_places=len(places.present()))


def described(base: Base) -> list[dict[str, Any]]:
    """The rows of the table `variants`: the published choice first, under the empty name."""
    published = {"variant": "", "family": "", "title": "as published", "description": "", "warning": 0, "position": 0}
    both = {
        "variant": ppi.VARIANT,
        "family": READER,
        "title": "read and machine together",
        "description": "The machine's reading of the posts that nobody read, corrected by those that were (PPI++).",
        "warning": 0,
    }
    found = [
        {
            "variant": variant.slug,
            "family": variant.family,
            "title": variant.title,
            "description": variant.description,
            "known": None if variant.known is None else int(variant.known(base.rows).sum()),
            "warning": int(variant.warning),
            "position": position,
        }
        for position, variant in enumerate(variants(base.vocabulary), 1)
    ]
    return [published, *found, {**both, "position": len(found) + 1}]
