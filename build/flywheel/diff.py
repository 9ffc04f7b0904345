"""What changed between two built databases: which signals are new, gone or relabelled, and how far shares moved.

`compare(before, after)` reads both and writes nothing. Shares are compared at the same places only; one that enters or
leaves is named as a break and moves no mean.

Two versions hold mostly the same posts, so their shares do not vary apart. With p = sum(w y) / sum(w d) and the
residual u(c) of each cluster as in `estimate`, the change p2 - p1 has the linearised variance k / (k - 1) * sum over
clusters of (u2(c) / D2 - u1(c) / D1)^2, D = sum(w d): a post that stayed as it was cancels out, but for what the new
ones did to the total. Bounds are Student's t with k - 1 degrees of freedom, 95 % each. A version compares some 150
shares, of which seven or eight would leave their 95 % bounds by chance; so a share is said to have *moved* only if it
does so at 0.05 / m for m shares that changed (Bonferroni). All else is `within chance`. What readers' switching would
add is not in it: a label that both versions hold is the same label.
"""

from __future__ import annotations

import math
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from scipy.special import stdtrit

from flywheel import estimate

MOVED, CHANCE, SAME = "moved", "within chance", "same"
ENTERS, LEAVES, REFRAMED = "enters", "leaves", "is used otherwise"
LEVEL = 0.05
EPSILON = 5e-7
"""Half of the last digit that is stored of a share: less than this is no change."""

Key = tuple[str, str, str]
"""Measure, subject, place; the empty place is the mean."""


@dataclass(frozen=True, slots=True)
class Tally:
    """How many signals of one theme (empty: no theme) are new, gone or came from another theme; `read` or `machine`."""

    kind: Literal["new", "gone", "relabelled"]
    labelled: str
    theme: str
    signals: int


@dataclass(frozen=True, slots=True)
class Move:
    """One share (0 to 1) before and after, its change with 95 % bounds, and whether that is beyond chance."""

    measure: str
    subject: str
    place: str
    before: float
    after: float
    change: float
    low: float
    high: float
    n: int
    verdict: str


@dataclass(frozen=True)
class Diff:
    """All that changed. `moves` leaves out shares that are the same; `compared` counts those too."""

    tallies: list[Tally]
    moves: list[Move]
    compared: int
    places: dict[str, str]
    """Places that enter, leave or are used otherwise, with which of the three."""

    def count(self, kind: str) -> int:
        return sum(tally.signals for tally in self.tallies if tally.kind == kind)

    @property
    def moved(self) -> list[Move]:
        return [move for move in self.moves if move.verdict == MOVED]


@dataclass(frozen=True)
class Side:
    """What is compared of one database."""

    signals: Mapping[str, tuple[str, str]]
    """Theme and `read` or `machine`, by id."""
    frames: Mapping[str, str]
    """Frame of each place that has a cell."""
    clusters: Mapping[str, Mapping[str, Counter[tuple[str, str, str]]]]
    """Weight by phase, theme and ask, of each cluster of each place."""
    shares: Mapping[Key, int]
    """n of each share of a place that may be shown whole (`enough`)."""


def compare(before: Path, after: Path) -> Diff:
    """Compares two files that `flywheel build` made. Raises sqlite3.DatabaseError where one is none."""
    old, new = read(before), read(after)
    judged = moves(old, new)
    return Diff(
        tallies=sorted(_tallies(old, new), key=lambda t: (t.kind, t.labelled, t.theme)),
        moves=[move for move in judged if move.verdict != SAME],
        compared=len(judged),
        places=dict(sorted(_breaks(old.frames, new.frames))),
    )


def read(path: Path) -> Side:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        signals = {
            id_: (theme or "", "machine" if labelled == "machine" else "read")
            for id_, theme, labelled in db.execute("select id, theme, labelled_by from signals")
        }
        frames = dict(db.execute("select slug, frame from places where slug in (select place from cells)"))
        clusters: dict[str, dict[str, Counter[tuple[str, str, str]]]] = {}
        for place, cluster, phase, theme, ask, weight in db.execute(
            "select place, cluster, phase, theme, coalesce(ask, ''), weight from cells order by cell"
        ):
            clusters.setdefault(place, {}).setdefault(cluster, Counter())[phase, theme, ask] += weight
        shares = {
            (measure, subject, place): n
            for measure, subject, place, n in db.execute(
                """select measure, subject, value, n from estimates join windows using (window)
                where "by" = 'place' and method = 'process' and variant = '' and role = 'all' and enough = 'enough'"""
            )
        }
    return Side(signals, frames, clusters, shares)


def _tallies(old: Side, new: Side) -> Iterator[Tally]:
    def counted(kind: Literal["new", "gone", "relabelled"], found: Iterable[tuple[str, str]]) -> Iterator[Tally]:
        for (theme, labelled), signals in Counter(found).items():
            yield Tally(kind, labelled, theme, signals)

    yield from counted("new", (new.signals[i] for i in new.signals.keys() - old.signals.keys()))
    yield from counted("gone", (old.signals[i] for i in old.signals.keys() - new.signals.keys()))
    both = (i for i in new.signals.keys() & old.signals.keys() if new.signals[i][0] != old.signals[i][0])
    yield from counted("relabelled", (new.signals[i] for i in both))


def _breaks(old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for place in old.keys() | new.keys():
        if old.get(place) != new.get(place):
            yield place, ENTERS if place not in old else LEAVES if place not in new else REFRAMED


@dataclass(frozen=True, slots=True)
class _Changed:
    """One share of one place before and after, with the variance of its change. `df`: clusters less one."""

    before: float
    after: float
    variance: float
    df: float
    n: int


def _moves(old: Side, new: Side) -> Iterator[tuple[Key, _Changed]]:
    """Every share that both may show, place by place, then the mean over the same places of the population."""
    same = {place for place, frame in new.frames.items() if old.frames.get(place) == frame and frame != "targeted"}
    by_share: dict[tuple[str, str], list[_Changed]] = {}
    for measure, subject, place in sorted(old.shares.keys() & new.shares.keys()):
        if place in same:
            found = _changed(measure, subject, old.clusters[place], new.clusters[place])
            found = _Changed(found.before, found.after, found.variance, found.df, new.shares[measure, subject, place])
            yield (measure, subject, place), found
            if new.frames[place] == "population":
                by_share.setdefault((measure, subject), []).append(found)
    for (measure, subject), places in by_share.items():
        if len(places) >= estimate.MEAN_OF:
            after, variance, df = estimate.mean(
                [p.after for p in places], [p.variance for p in places], [p.df for p in places]
            )
            before = sum(p.before for p in places) / len(places)
            yield (measure, subject, ""), _Changed(before, after, variance, df, sum(p.n for p in places))


def _changed(
    measure: str,
    subject: str,
    old: Mapping[str, Counter[tuple[str, str, str]]],
    new: Mapping[str, Counter[tuple[str, str, str]]],
) -> _Changed:
    totals = [{c: _hits(measure, subject, cells) for c, cells in side.items()} for side in (old, new)]
    sums = [tuple(map(sum, zip(*side.values(), strict=True))) for side in totals]
    p1, p2 = (hits / among for hits, among in sums)
    squares, k = 0.0, 0
    for cluster in sorted(totals[0].keys() | totals[1].keys()):
        (y1, d1), (y2, d2) = (side.get(cluster, (0.0, 0.0)) for side in totals)
        if d1 or d2:
            k += 1
            squares += ((y2 - p2 * d2) / sums[1][1] - (y1 - p1 * d1) / sums[0][1]) ** 2
    return _Changed(p1, p2, k / max(k - 1, 1) * squares, max(k - 1, 1), 0)


def _hits(measure: str, subject: str, cells: Counter[tuple[str, str, str]]) -> tuple[float, float]:
    """Weight that is counted, and weight among which: what `estimate.measures` says, on cells."""
    after_run = measure in ("headline", "ask")
    among = hits = 0.0
    for (phase, theme, ask), weight in cells.items():
        if after_run and phase == "train":
            continue
        among += weight
        hits += weight * (subject in (phase, theme, ask) or (subject == "after_run" and phase != "train"))
    return hits, among


def moves(old: Side, new: Side) -> list[Move]:
    """Every share that both sides may show, with its change, those that are the same too."""
    found = list(_moves(old, new))
    tested = sum(abs(c.after - c.before) >= EPSILON for _, c in found)
    judged = []
    for (measure, subject, place), c in found:
        change, deviation = c.after - c.before, math.sqrt(c.variance)
        half = estimate.quantile(c.df) * deviation
        beyond = float(stdtrit(c.df, 1 - LEVEL / 2 / max(tested, 1))) * deviation
        verdict = SAME if abs(change) < EPSILON else MOVED if abs(change) > beyond else CHANCE
        before, after, change, low, high = (
            round(figure, 6) for figure in (c.before, c.after, change, change - half, change + half)
        )
        judged.append(Move(measure, subject, place, before, after, change, low, high, c.n, verdict))
    return judged


def lines(version: str, diff: Diff | None, sources: Mapping[str, str]) -> list[dict[str, Any]]:
    """What `data/changes.jsonl` says of one version: every tally, every move, the breaks, what each source gave."""
    rows: list[dict[str, Any]] = []

    def add(kind: str, measure: str = "", subject: str = "", place: str = "", **more: Any) -> None:
        rows.append({"version": version, "kind": kind, "measure": measure, "subject": subject, "place": place, **more})

    if diff:
        for tally in diff.tallies:
            add(tally.kind, tally.labelled, tally.theme, signals=tally.signals)
        add("compared", signals=diff.compared)
        for m in diff.moves:
            figures = {"share_before": m.before, "share": m.after, "change": m.change, "low": m.low, "high": m.high}
            add("move", m.measure, m.subject, m.place, signals=m.n, **figures, verdict=m.verdict)
        for place, what in diff.places.items():
            add("place", place=place, verdict=what)
    for source, verdict in sorted(sources.items()):
        add("source", subject=source, verdict=verdict)
    return rows
