"""Shares with their intervals: from signals to the rows of `cells` and `estimates`.

The statistics are those of a ratio of weighted totals. With weights w, numerator y and denominator d (0 or 1),
share p = sum(w y) / sum(w d). Each cluster c leaves a residual u(c) = sum over its rows of w (y - p d); the
linearised variance is the sum over clusters of u(c)^2 / (1 - W(c)), over sum(w d)^2, with W(c) the cluster's part of
the denominator (Särndal, Swensson and Wretman, *Model Assisted Survey Sampling*, 5.5 to 5.7; the divisor makes up for
a large cluster pulling the share towards itself: CR2 of Bell and McCaffrey, *Survey Methodology* 28, 2002). Simulated
with 10 to 300 clusters, 93.5 to 95 of 100 intervals cover; with the usual k / (k - 1) it is 92 to 94
(docs/statistics.md). The interval is Student's t with k - 1 degrees of freedom on the logit scale. Two methods are
named:

process  posts like these: clustered as `cluster_rows` says, and what readers' switching adds (`switching`). What pages
         print.
archive  this archive as it is: rows as drawn, with the finite-population correction; near nil where all was read.

A mean over places gives each the same weight, adds their variances and takes Welch and Satterthwaite's degrees of
freedom; a third method, `places`, takes the places themselves as the sample (t on their number less one).

Where nothing or everything was counted the logit does not exist: the open side is the exact bound
1 - 0.025 ** (1 / k). A mean with such a place takes its bounds from those of its places (MOVER; Zou and Donner,
*Statistics in Medicine* 27, 2008), since adding variances on the logit scale breaks down beside 0 and 1.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from flywheel.signal import Frame, Post
from flywheel.vocabulary import Vocabulary

SHOWN, ABOUT, THREADS = 30, 10, 3
"""A share of n signals is shown from 30 on, shown as "about" from 10 on, and is too few to tell below, or where
the signals come from fewer than three threads."""

MEAN_OF = 3
"""A mean needs this many places, each with n >= SHOWN; an interval for places like these needs one more."""

COMMUNITY = "community"
COMMUNITIES = 10
"""From this many communities with a signal after a run on, communities are the clusters."""

MONTHS = 18
"""The recent window: this many months, the latest among the public rows that were not searched for by theme."""

FRAMES_OF: Mapping[Frame, tuple[Frame, ...]] = {
    "population": ("population",),
    "neutral": ("neutral",),
    "targeted": ("neutral", "targeted"),
}
"""Which rows a place of each frame counts. Targeted rows count only where the place says that it is a count."""

STUDENT_DF = (*range(1, 201), *range(250, 1001, 50), 1500, 2000, 5000, 10_000, 1_000_000)

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@cache
def student_t() -> dict[int, float]:
    """The 97.5 % quantile of Student's t by degrees of freedom. A look-up takes the next lower row, which widens an
    interval by less than a thousandth; so SQL on the published file can do what the build does."""
    return {df: round(float(stdtrit(df, 0.975)), 6) for df in STUDENT_DF}


def quantile(df: float) -> float:
    """Student's t for any degrees of freedom >= 1, from the published table."""
    table = student_t()
    return table[max(row for row in STUDENT_DF if row <= max(df, 1))]


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of months, named by its first and last; `role` is `all` or `recent`."""

    window: str
    role: str
    title: str
    first_month: str
    last_month: str


@dataclass(frozen=True, slots=True)
class Estimate:
    """One row of the table `estimates`. Shares and bounds are between 0 and 1; null where they may not be shown."""

    measure: str
    subject: str
    by: str
    value: str
    window: str
    variant: str
    method: str
    frame: str
    numerator: float
    denominator: float
    n: int
    n_numerator: int
    n_coded: int
    n_machine: int
    threads: int
    clusters: int
    n_places: int
    first_month: str | None
    last_month: str | None
    enough: str
    share: float | None = None
    variance: float | None = None
    reader_variance: float | None = None
    """The part of `variance` that readers' switching adds; null where no post of the place was read twice."""
    t_df: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Ratio:
    """A share (0 to 1), its variance, and the number of clusters behind it."""

    share: float
    variance: float
    clusters: int
    numerator: float
    denominator: float


@dataclass(frozen=True, slots=True)
class Column:
    """One text per row, as numbers into sorted labels: a million rows take 8 MB, and months compare in order."""

    codes: Ints
    labels: tuple[str, ...]

    @classmethod
    def of(cls, values: Sequence[str | None]) -> Column:
        """Null and empty become the label ''."""
        labels = sorted({value or "" for value in values} | {""})
        number = {label: code for code, label in enumerate(labels)}
        return cls(np.fromiter((number[value or ""] for value in values), np.int64, len(values)), tuple(labels))

    def is_(self, value: str) -> Bools:
        return self.codes == self.labels.index(value) if value in self.labels else np.zeros(len(self.codes), dtype=bool)

    def present(self) -> list[str]:
        """The labels that occur, in order, without ''."""
        return [label for code in np.unique(self.codes) if (label := self.labels[code])]

    def between(self, first: str, last: str) -> Bools:
        """Rows whose label lies between two others, both included."""
        low, high = bisect_left(self.labels, first), bisect_right(self.labels, last)
        inside: Bools = (self.codes >= low) & (self.codes < high)
        return inside

    def where(self, mask: Bools) -> Column:
        return Column(self.codes[mask], self.labels)


_TEXTS = (
    "theme",
    "phase",
    "ask",
    "place",
    "archive",
    "tool",
    "community",
    "month",
    "thread",
    "frame",
    "corpus",
    "labelled_by",
    "seen",
    "sure",
)


@dataclass(frozen=True)
class Rows:
    """Signals with a known theme, as columns of equal length. `author` is '' where nobody knows."""

    columns: Mapping[str, Column]
    weight: Floats
    unit: Ints | None = None
    """Which post a row belongs to, where one post may have several rows; else each row is a post."""

    def __len__(self) -> int:
        return len(self.weight)

    def __getitem__(self, name: str) -> Column:
        return self.columns[name]

    def where(self, mask: Bools) -> Rows:
        unit = None if self.unit is None else self.unit[mask]
        return Rows({name: column.where(mask) for name, column in self.columns.items()}, self.weight[mask], unit)

    def number(self, mask: Bools) -> int:
        """How many posts the rows under a mask are."""
        return int(mask.sum()) if self.unit is None else len(np.unique(self.unit[mask]))

    @classmethod
    def of(cls, posts: Sequence[Post]) -> Rows:
        columns = {name: Column.of([getattr(post, name) for post in posts]) for name in _TEXTS}
        columns["author"] = Column.of(["" if post.author is None else str(post.author) for post in posts])
        return cls(columns, np.array([post.weight for post in posts], dtype=np.float64))


def ratio(weight: Floats, hit: Bools, counted: Bools, cluster: Ints) -> Ratio:
    """The linearised ratio of the module's docstring. Arrays of one length; `cluster` holds numbers from 0.

    Raises ValueError where nothing is counted. With a single cluster the variance is unknown (NaN).
    """
    denominator = float(weight[counted].sum())
    if denominator <= 0:
        raise ValueError("a share of nothing")
    numerator = float(weight[hit & counted].sum())
    share = numerator / denominator
    residual = np.bincount(cluster, weights=weight * (hit & counted) - share * weight * counted)
    part = np.bincount(cluster, weights=weight * counted) / denominator
    clusters = len(np.unique(cluster[counted]))
    spread = float((residual**2 / (1 - part)).sum()) if clusters > 1 else math.nan
    return Ratio(share, spread / denominator**2, clusters, numerator, denominator)


def interval(share: float, variance: float, df: float) -> tuple[float, float]:
    """95 % interval on the logit scale for a share strictly between 0 and 1."""
    half = quantile(df) * math.sqrt(variance) / (share * (1 - share))
    logit = math.log(share / (1 - share))
    return 1 / (1 + math.exp(half - logit)), 1 / (1 + math.exp(-half - logit))


def open_bound(clusters: float) -> float:
    """How far from 0 (or from 1) a share may lie where none (or all) of k independent draws were hits: exact, 95 %."""
    return 1 - math.pow(0.025, 1 / clusters)


def mean(shares: Sequence[float], variances: Sequence[float], dfs: Sequence[float]) -> tuple[float, float, float]:
    """Mean of independent shares, each the same, its variance, and Welch and Satterthwaite's degrees of freedom."""
    total = sum(variances)
    df = total**2 / sum(v**2 / d for v, d in zip(variances, dfs, strict=True)) if total else sum(dfs)
    return sum(shares) / len(shares), total / len(shares) ** 2, df


def mean_of_bounds(shares: Sequence[float], lows: Sequence[float], highs: Sequence[float]) -> tuple[float, float]:
    """Bounds of a mean of independent shares from their own bounds, which may be lopsided (MOVER).
    Nominal 95 % covered 92.6 of 100 in the hardest case simulated (shares of 0.2 to 0.5 %, see the test)."""
    count = len(shares)
    share = sum(shares) / count
    down = math.sqrt(sum((p - low) ** 2 for p, low in zip(shares, lows, strict=True))) / count
    up = math.sqrt(sum((high - p) ** 2 for p, high in zip(shares, highs, strict=True))) / count
    return max(0.0, share - down), min(1.0, share + up)


def places_interval(shares: Sequence[float]) -> tuple[float, float]:
    """95 % interval for the mean of places like these: Student's t on their number less one, cut at 0 and 1."""
    half = quantile(len(shares) - 1) * float(np.std(shares, ddof=1)) / math.sqrt(len(shares))
    mean = float(np.mean(shares))
    return max(0.0, mean - half), min(1.0, mean + half)


def enough(n: int, threads: int) -> str:
    """`enough`, `about` or `few`: whether a share of n signals from so many threads may be shown."""
    if n < ABOUT or threads < THREADS:
        return "few"
    return "enough" if n >= SHOWN else "about"


def cluster_rows(rows: Rows) -> tuple[Ints, str]:
    """Which rows hang together: by community where ten communities have a signal after a run, else by author where
    known, else by thread. Returns a number a row (rows of one number are one cluster), and the rule in words."""
    if len(rows["community"].where(after_run(rows)).present()) >= COMMUNITIES:
        return rows["community"].codes, COMMUNITY
    author, thread = rows["author"], rows["thread"]
    known = ~author.is_("")
    codes = np.where(known, author.codes, len(author.labels) + thread.codes)
    return codes, "author, else thread" if known.any() else "thread"


def clusters(posts: Sequence[Post], vocabulary: Vocabulary) -> tuple[dict[str, str], dict[str, str]]:
    """The cluster of every counted post by its id, named so that it tells its kind, and the rule of every place.

    `c:` and a community, `a:` and an author's number, `t:` and a thread: the same rule as `cluster_rows`, as text.
    """
    names: dict[str, str] = {}
    rules: dict[str, str] = {}
    for place in vocabulary.places:
        here = [post for post in posts if post.place == place]
        rules[place] = cluster_rows(Rows.of(here))[1] if here else ""
        for post in here:
            names[post.id] = cluster_name(post, rules[place])
    return names, rules


def cluster_name(post: Post, rule: str) -> str:
    """The cluster of one post of a place that is clustered by `rule`, named so that it tells its kind."""
    if rule == COMMUNITY:
        return f"c:{post.community}"
    return f"t:{post.thread}" if post.author is None else f"a:{post.author}"


def counted(posts: Iterable[Post], vocabulary: Vocabulary) -> Iterator[Post]:
    """The signals that a share may rest on: read, with a known theme, and found in a way that their place counts.

    Counting a machine's labels was measured to be wrong, with intervals that never cover; they feed the drill.
    """
    for post in posts:
        if post.theme and post.verdict == "signal" and post.place and post.labelled_by != "machine":
            place = vocabulary.places[post.place]
            if post.frame in FRAMES_OF[place.frame]:
                yield post


def windows(posts: Iterable[Post]) -> list[Window]:
    """All months, and the recent ones, of the public rows that were not searched for by theme; one window where the
    two are the same months."""
    months = sorted(
        {p.month for p in posts if p.month and p.verdict == "signal" and p.corpus == "public" and p.frame != "targeted"}
    )
    if not months:
        return []
    first, last = months[0], months[-1]
    year, month = map(int, last.split("-"))
    start = year * 12 + month - MONTHS
    recent = max(f"{start // 12:04d}-{start % 12 + 1:02d}", first)
    both = [
        Window(f"{first}..{last}", "all", "all years", first, last),
        Window(f"{recent}..{last}", "recent", f"the last {MONTHS} months", recent, last),
    ]
    return both if recent > first else both[:1]


Test = Callable[[Rows], Bools]
"""A yes or no a row."""


def _every(rows: Rows) -> Bools:
    return np.ones(len(rows), dtype=bool)


def after_run(rows: Rows) -> Bools:
    return ~rows["phase"].is_("train")


def _is(column: str, value: str) -> Test:
    return lambda rows: rows[column].is_(value)


@dataclass(frozen=True)
class Measure:
    """What is counted (`hits`, one test a subject) among what (`among`)."""

    name: str
    among: Test
    hits: Mapping[str, Test]
    groups: bool
    """Whether it is given for archives, tools and communities too, not only for places."""


def measures(vocabulary: Vocabulary) -> list[Measure]:
    """Every published measure, as data."""
    return [
        Measure("of_100", _every, {phase: _is("phase", phase) for phase in vocabulary.phases}, groups=True),
        Measure("after_run", _every, {"after_run": after_run}, groups=True),
        Measure("headline", after_run, {"evaluate": _is("phase", "evaluate")}, groups=True),
        Measure("theme", _every, {theme: _is("theme", theme) for theme in vocabulary.themes}, groups=False),
        Measure("ask", after_run, {ask: _is("ask", ask) for ask in vocabulary.asks}, groups=False),
    ]


ReaderPart = Callable[[Measure, Estimate], float | None]
"""The variance that readers' switching adds to a place's share, from the row that has all but the interval."""


def nobody(_: Measure, __: Estimate) -> None:
    """The part of readers where no post was read twice."""


def scaled(published: Iterable[Estimate]) -> ReaderPart:
    """The readers' part of other windows and choices: that of the published share of all years at the same place, for
    as many posts as there are. So SQL on `cells` can add what the build adds (view `reader_parts`)."""
    parts = {
        (row.measure, row.subject, row.value): row.reader_variance * row.denominator
        for row in published
        if row.by == "place" and row.method == "process" and row.reader_variance is not None
    }

    def part(measure: Measure, row: Estimate) -> float | None:
        known = parts.get((measure.name, row.subject, row.value))
        return None if known is None else known / row.denominator

    return part


def estimates(
    posts: Sequence[Post],
    vocabulary: Vocabulary,
    read_by_archive: Mapping[str, int],
    readers: ReaderPart = nobody,
) -> list[Estimate]:
    """The published rows of the table `estimates`, in order of their key; `variants` adds the others.

    `posts` are those of `counted`; `read_by_archive` says how many posts of each archive were read, signals or not;
    `readers` gives what readers' switching adds to the interval `process` of a place.
    """
    rows = Rows.of(posts)
    spans = windows(posts)
    found: list[Estimate] = []
    for by, value, group in _groups(rows):
        codes, _ = cluster_rows(group)
        frame = vocabulary.places[value].frame if by == "place" else "population, neutral"
        reader_part = readers
        for span in spans:
            inside = in_window(group, span)
            part, part_codes = group.where(inside), codes[inside]
            for measure in measures(vocabulary):
                if by == "place" or measure.groups:
                    named = Group(by, value, span.window, frame)
                    found += of_group(measure, part, part_codes, named, vocabulary, read_by_archive, reader_part)
            reader_part = scaled(found)
    found += means(found, drawn(vocabulary))
    return sorted(found, key=key)


def drawn(vocabulary: Vocabulary) -> list[str]:
    """The places that enter a mean: those where everything, or a random draw, was read."""
    return [slug for slug, place in vocabulary.places.items() if place.frame == "population"]


def key(row: Estimate) -> tuple[str, ...]:
    """What no two rows of `estimates` share, in the order in which they stand there."""
    return row.measure, row.subject, row.by, row.value, row.window, row.variant, row.method


def _groups(rows: Rows) -> Iterator[tuple[str, str, Rows]]:
    """Every place, and every archive, tool and community of public rows with enough signals to speak of."""
    for value in rows["place"].present():
        yield "place", value, rows.where(rows["place"].is_(value))
    public = rows.where(rows["corpus"].is_("public") & ~rows["frame"].is_("targeted"))
    for by in ("archive", "tool", "community"):
        column = public[by]
        counts = np.bincount(column.codes, minlength=len(column.labels))
        for code in np.flatnonzero(counts >= ABOUT):
            if value := column.labels[code]:
                yield by, value, public.where(column.codes == code)


def in_window(rows: Rows, span: Window) -> Bools:
    """Undated rows are inside the window of all years and outside every other."""
    return _every(rows) if span.role == "all" else rows["month"].between(span.first_month, span.last_month)


@dataclass(frozen=True, slots=True)
class Group:
    """What the rows of one share have in common, as the table `estimates` names it."""

    by: str
    value: str
    window: str
    frame: str
    variant: str = ""


def of_group(
    measure: Measure,
    rows: Rows,
    codes: Ints,
    group: Group,
    vocabulary: Vocabulary,
    read_by_archive: Mapping[str, int] | None = None,
    readers: ReaderPart = nobody,
) -> Iterator[Estimate]:
    """One measure among the rows of one group, clustered by `codes`; the method `archive` too where the group is a
    population and it is known how many posts of each archive were read. `readers` widens `process`."""
    among = measure.among(rows)
    n = rows.number(among)
    counted_rows = rows.where(among)
    threads = len(counted_rows["thread"].present())
    judged = enough(n, threads)
    months = counted_rows["month"].present()
    machine = int(counted_rows["labelled_by"].is_("machine").sum())
    for subject, test in measure.hits.items():
        hit = test(rows) & among
        base = Estimate(
            measure=measure.name,
            subject=subject,
            by=group.by,
            value=group.value,
            window=group.window,
            variant=group.variant,
            method="process",
            frame=group.frame,
            numerator=float(rows.weight[hit].sum()),
            denominator=float(rows.weight[among].sum()),
            n=n,
            n_numerator=rows.number(hit),
            n_coded=n - machine,
            n_machine=machine,
            threads=threads,
            clusters=len(np.unique(codes[among])),
            n_places=int(group.by == "place"),
            first_month=months[0] if months else None,
            last_month=months[-1] if months else None,
            enough=judged,
        )
        if judged == "few" or base.clusters < 2:
            yield replace(base, enough="few")
            continue
        found = ratio(rows.weight, hit, among, codes)
        part = readers(measure, replace(base, share=found.share)) if group.by in ("", "place") else None
        whole = replace(base, reader_variance=part)
        yield with_interval(whole, found.share, found.variance + (part or 0.0), found.clusters - 1)
        if group.frame == "population" and read_by_archive is not None:
            variance, drawn, unread = _archive_variance(found.share, rows, hit, among, vocabulary, read_by_archive)
            yield with_interval(replace(base, method="archive"), found.share, variance, drawn - 1, unread)


def with_interval(row: Estimate, share: float, variance: float, df: float, unread: float = 1.0) -> Estimate:
    """The row with its share and interval. `unread` is the part of the population that an open bound speaks of."""
    if 0 < share < 1:
        low, high = interval(share, variance, df)
    else:
        bound = unread * open_bound(row.clusters)
        low, high = (0.0, bound) if share < 0.5 else (1 - bound, 1.0)
    return replace(row, share=share, variance=variance, t_df=df, low=low, high=high)


def _archive_variance(
    share: float,
    rows: Rows,
    hit: Bools,
    among: Bools,
    vocabulary: Vocabulary,
    read_by_archive: Mapping[str, int],
) -> tuple[float, int, float]:
    """Simple random draws without replacement from each archive, strata added (Särndal and others, 3.7 and 5.7).

    Returns the variance, the number of posts drawn, and the part (0 to 1) of the archives that was not. Posts that
    were read and do not count leave no residual, so only their number is needed.
    """
    weighted = rows.weight * among
    residual = rows.weight * (hit & among) - share * weighted
    variance, drawn, matched = 0.0, 0, 0
    for archive in rows["archive"].present():
        inside = residual[rows["archive"].is_(archive)]
        n, of = read_by_archive[archive], vocabulary.archives[archive].matched
        squares = float((inside**2).sum()) - float(inside.sum()) ** 2 / n
        variance += max(0.0, 1 - n / of) * n / max(n - 1, 1) * squares
        drawn, matched = drawn + n, matched + of
    return variance / float(weighted.sum()) ** 2, drawn, max(0.0, 1 - drawn / matched)


def means(found: Sequence[Estimate], entering: Collection[str]) -> Iterator[Estimate]:
    """The mean over the places named that are thick enough; below three, a row without a share."""
    by_key: dict[tuple[str, str, str, str], list[Estimate]] = {}
    for row in found:
        if row.by == "place" and row.value in entering:
            by_key.setdefault((row.measure, row.subject, row.window, row.method), []).append(row)
    for (*_, method), places in by_key.items():
        thick = [row for row in places if row.enough == "enough"]
        base = _pooled(thick or places, len(thick))
        if len(thick) < MEAN_OF:
            if method == "process":
                yield replace(base, share=None, low=None, high=None, variance=None, t_df=None, enough="few")
            continue
        shares = [row.share or 0.0 for row in thick]
        share, variance, df = mean(shares, [row.variance or 0.0 for row in thick], [row.t_df or 1.0 for row in thick])
        parts = [row.reader_variance for row in thick if row.reader_variance is not None]
        base = replace(base, reader_variance=sum(parts) / len(thick) ** 2 if parts else None)
        if all(0 < of_place < 1 for of_place in shares):
            yield with_interval(base, share, variance, df)
        else:
            low, high = mean_of_bounds(shares, [row.low or 0.0 for row in thick], [row.high or 0.0 for row in thick])
            yield replace(base, share=share, variance=variance, t_df=df, low=low, high=high)
        if method == "process" and len(thick) > MEAN_OF:
            low, high = places_interval(shares)
            spread = float(np.var(shares, ddof=1)) / len(shares)
            yield replace(
                base,
                method="places",
                reader_variance=None,
                share=float(np.mean(shares)),
                variance=spread,
                t_df=len(shares) - 1,
                low=low,
                high=high,
            )


def _pooled(rows: Sequence[Estimate], places: int) -> Estimate:
    def total(name: str) -> Any:
        return sum(getattr(row, name) for row in rows)

    return replace(
        rows[0],
        by="",
        value="",
        frame=", ".join(sorted({row.frame for row in rows}, reverse=True)),
        numerator=total("numerator"),
        denominator=total("denominator"),
        n=total("n"),
        n_numerator=total("n_numerator"),
        n_coded=total("n_coded"),
        n_machine=total("n_machine"),
        threads=total("threads"),
        clusters=total("clusters"),
        n_places=places,
        first_month=min((row.first_month for row in rows if row.first_month), default=None),
        last_month=max((row.last_month for row in rows if row.last_month), default=None),
    )
