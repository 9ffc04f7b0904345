"""Shares from read posts and a machine's reading of all posts: prediction-powered inference (PPI++), cluster-robust.

The read posts are a random draw from the population that is reported. They tell how far the machine's probabilities are
off; its reading of the rest then narrows the interval, and can never bias the share. For weights w of the read posts
(each stands for itself and w - 1 unread ones), v of the unread ones, and for what is counted, y, and its prediction f,

    total(y) = sum over read of w y + lambda * (sum over unread of v f - sum over read of (w - 1) f)

and a share is total(hits) / total(counted), linearised: y becomes e = y - share * counted, and f alike. Each cluster
leaves one residual, whether its posts were read or not, so the variance is that of `estimate.ratio` with the rest
added; lambda (0 to 1) is the one that makes it least. With lambda = 0 share and interval are those of the read posts.
(Angelopoulos, Duchi and Zrnic, *PPI++*, arXiv 2311.01453: the same estimate, where lambda is scaled by the unread part;
`tests/test_ppi.py` compares it with ppi-python. As a difference estimator: Särndal, Swensson and Wretman, 6.3 and 6.8.)

`adjusted_count` is the fallback where the read posts are no draw from the population reported, for example older: it
holds only if posts of each class look there as they do here ("label shift").
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import nnls

from flywheel import estimate
from flywheel.data import Prediction
from flywheel.estimate import Bools, Column, Estimate, Floats, Ints, ReaderPart, Rows, Window
from flywheel.signal import Post
from flywheel.vocabulary import Vocabulary

VARIANT = "read-and-machine"
DRAWS, SEED = 1000, 0


@dataclass(frozen=True)
class Sample:
    """Posts of a population as columns of equal length, read and unread ones.

    `weight` is w of read posts and v of unread ones; `hit` and `counted` are what the reading says (0 or 1; whatever
    stands at unread posts is not used), `said_hit` and `said_counted` the probabilities of the same that the machine
    gives, out of fold for read posts; `cluster` holds numbers from 0; `stratum` the draw that a post belongs to.
    """

    read: Bools
    weight: Floats
    hit: Floats
    counted: Floats
    said_hit: Floats
    said_counted: Floats
    cluster: Ints
    stratum: Ints


@dataclass(frozen=True, slots=True)
class Powered:
    """A share and its two variances: for posts like these, and for this population as it is."""

    share: float
    variance: float
    clusters: int
    power: float
    numerator: float
    denominator: float
    archive_variance: float


def powered(sample: Sample, power: float | None = None) -> Powered:
    """The PPI++ share. `power` is lambda, tuned where it is null.

    Raises ValueError where nothing is counted. With fewer than two clusters the variance is unknown (NaN).
    """
    own = np.where(sample.read, sample.weight, 0.0)
    rest = np.where(sample.read, 1 - sample.weight, sample.weight)
    hit, counted = sample.hit * sample.read, sample.counted * sample.read
    clusters = len(np.unique(sample.cluster[counted > 0]))

    def totals(power: float) -> tuple[float, float]:
        hits = own @ hit + power * (rest @ sample.said_hit)
        return float(hits), float(own @ counted + power * (rest @ sample.said_counted))

    def residuals(share: float) -> tuple[Floats, Floats]:
        gap = _centred(hit - share * counted, own, sample.read)
        said = sample.said_hit - share * sample.said_counted
        said = _centred(said, rest, sample.read) + _centred(said, rest, ~sample.read)
        gaps: Floats = np.bincount(sample.cluster, own * gap).astype(np.float64)
        return gaps, np.bincount(sample.cluster, rest * said).astype(np.float64)

    numerator, denominator = totals(power or 0.0)
    if denominator <= 0:
        raise ValueError("a share of nothing")
    chosen = power or 0.0
    # lambda is the best for a share, and the share follows from lambda: the second round hardly moves it.
    for _ in range(2 if power is None else 0):
        gaps, said = residuals(numerator / denominator)
        # Where every cluster is read in proportion the machine adds nothing, and what is left is rounding.
        useful = said @ said > 1e-18 * (gaps @ gaps)
        chosen = float(np.clip(-(gaps @ said) / (said @ said), 0, 1)) if useful else 0.0
        if totals(chosen)[1] > 0:
            numerator, denominator = totals(chosen)
        else:
            chosen = 0.0
    share = numerator / denominator
    gaps, said = residuals(share)
    reached = np.bincount(sample.cluster, own * counted)
    spread = ((gaps + chosen * said) ** 2 / (1 - reached / reached.sum())).sum() if clusters > 1 else np.nan
    return Powered(
        share=share,
        variance=float(spread) / denominator**2,
        clusters=clusters,
        power=chosen,
        numerator=numerator,
        denominator=denominator,
        archive_variance=_archive_variance(sample, share, chosen) / denominator**2,
    )


def _centred(values: Floats, weight: Floats, which: Bools) -> Floats:
    """Values less their weighted mean among `which`, and 0 elsewhere."""
    total = float(weight[which].sum())
    mean = float(weight[which] @ values[which]) / total if total else 0.0
    centred: Floats = np.where(which, values - mean, 0.0)
    return centred


def _archive_variance(sample: Sample, share: float, power: float) -> float:
    """Simple random draws from each stratum, all of whose posts the machine has read (Särndal and others, 6.3)."""
    left = sample.hit - share * sample.counted - power * (sample.said_hit - share * sample.said_counted)
    total = 0.0
    for stratum in np.unique(sample.stratum):
        here = sample.stratum == stratum
        drawn = left[here & sample.read]
        size = float(sample.weight[here & sample.read].sum())
        if len(drawn) > 1:
            total += size**2 * max(0.0, 1 - len(drawn) / size) * float(drawn.var(ddof=1)) / len(drawn)
    return total


def adjusted_count(
    labels: Ints, said: Ints, weight: Floats, unread: Ints, classes: int, hits: Sequence[int], among: Sequence[int]
) -> tuple[float, float, float]:
    """Share of the classes `hits` among the classes `among` in the unread posts, and its 95 % bootstrap interval.

    `labels` and `said` are what readers and the machine (out of fold) make of read posts with `weight`, `unread` what
    the machine makes of the others; all are numbers of classes, "no signal" one of them. The counts of `unread` are
    solved for the mix of classes that would give them (adjusted count; Forman, *Data Mining and Knowledge Discovery*
    17, 2008), none below nought. Assumes label shift. Read and unread posts are drawn again one by one, not by cluster.
    """

    def solved(table: Floats, counts: Floats) -> float:
        rates = table / np.maximum(table.sum(axis=1, keepdims=True), 1e-12)
        mix, _ = nnls(rates.T, counts / counts.sum())
        of = float(mix[list(among)].sum())
        return float(mix[list(hits)].sum()) / of if of else float("nan")

    cell = labels * classes + said

    def tabled(weight: Floats) -> Floats:
        return np.bincount(cell, weight, minlength=classes**2).astype(np.float64).reshape(classes, classes)

    counts = np.bincount(unread, minlength=classes).astype(np.float64)
    rng = np.random.default_rng(SEED)
    drawn = []
    for _ in range(DRAWS):
        times = weight * rng.multinomial(len(cell), np.full(len(cell), 1 / len(cell)))
        drawn.append(solved(tabled(times), rng.multinomial(len(unread), counts / counts.sum()).astype(np.float64)))
    low, high = np.nanquantile(drawn, (0.025, 0.975))
    return solved(tabled(weight), counts), float(low), float(high)


PREDICTED: Mapping[tuple[str, str], tuple[tuple[str, ...], tuple[str, ...]]] = {
    **{("of_100", p): ((p,), ("train", "evaluate", "iterate")) for p in ("train", "evaluate", "iterate")},
    ("after_run", "after_run"): (("evaluate", "iterate"), ("train", "evaluate", "iterate")),
    ("headline", "evaluate"): (("evaluate",), ("evaluate", "iterate")),
}
"""Each measure and subject that the machine's probabilities tell: the phases that are hits, and those counted."""


def read_and_machine(
    posts: Sequence[Post],
    unread: Sequence[Post],
    said: Mapping[str, Prediction],
    vocabulary: Vocabulary,
    readers: ReaderPart = estimate.nobody,
) -> list[Estimate]:
    """The rows of `estimates` with the variant "read and machine": places of the population, and their mean.

    `posts` are all that were read, signals or not; `unread` all that the machine alone has read (`Data.unread`); `said`
    what it says of both (`Data.said`); `readers` widens `process`, as in the published rows. A place gets rows where
    every read post has a prediction and some post is unread; else it has none, and none is in the mean. `n` and
    `n_coded` count read signals, `n_machine` unread posts.
    """
    counted = list(estimate.counted(posts, vocabulary))
    spans = estimate.windows(counted)
    measures = {measure.name: measure for measure in estimate.measures(vocabulary)}
    found: list[Estimate] = []
    for place in vocabulary.places.values():
        if place.frame != "population":
            continue
        read = [post for post in posts if post.place == place.slug and post.frame == "population"]
        rest = [post for post in unread if post.place == place.slug and post.frame == "population" and post.url in said]
        if not read or not rest or any(post.url not in said for post in read):
            continue
        here = _Place.of(read, rest, said)
        for span in spans:
            inside = estimate.in_window(here.rows, span)
            for name, subject in PREDICTED:
                found += here.estimates(measures[name], subject, span, inside, readers)
    found += estimate.means(found, estimate.drawn(vocabulary))
    return sorted(found, key=lambda e: (e.measure, e.subject, e.by, e.value, e.window, e.variant, e.method))


@dataclass(frozen=True)
class _Place:
    """One place's posts, read ones first. A read post that is no signal has the theme ''."""

    place: str
    rows: Rows
    read: Bools
    weight: Floats
    said: Mapping[str, Floats]
    cluster: Ints

    @classmethod
    def of(cls, read: Sequence[Post], rest: Sequence[Post], said: Mapping[str, Prediction]) -> _Place:
        rows = Rows.of([*read, *rest])
        is_read = np.arange(len(rows)) < len(read)
        # The first label is '': no theme is known of what nobody has read.
        known = {name: Column(np.where(is_read, rows[name].codes, 0), rows[name].labels) for name in ("theme", "phase")}
        rows = replace(rows, columns={**rows.columns, **known})
        told = np.array([said[post.url] for post in (*read, *rest)], dtype=np.float64)
        weight = rows.weight.copy()
        # Where some unread posts of an archive were not tagged, those that were stand for them too; where none was, the
        # read posts of that archive stand for all of it, as they do without a machine.
        for archive in rows["archive"].present():
            here = rows["archive"].is_(archive)
            if (here & ~is_read).any():
                weight[here & ~is_read] *= (weight[here & is_read] - 1).sum() / weight[here & ~is_read].sum()
        themed = rows.where(~rows["theme"].is_(""))
        by_community = len(themed["community"].where(estimate.after_run(themed)).present()) >= estimate.COMMUNITIES
        author, thread = rows["author"], rows["thread"]
        by_author = np.where(~author.is_(""), author.codes, len(author.labels) + thread.codes)
        return cls(
            place=read[0].place or "",
            rows=rows,
            read=is_read,
            weight=weight,
            said={phase: told[:, 0] * told[:, n] for n, phase in enumerate(("train", "evaluate", "iterate"), 1)},
            cluster=rows["community"].codes if by_community else by_author,
        )

    def estimates(
        self, measure: estimate.Measure, subject: str, span: Window, inside: Bools, readers: ReaderPart
    ) -> Iterator[Estimate]:
        rows, hits, among = self.rows, *PREDICTED[measure.name, subject]
        counted = measure.among(rows) & ~rows["theme"].is_("") & self.read & inside
        hit = measure.hits[subject](rows) & counted
        signals = rows.where(counted)
        threads, months = len(signals["thread"].present()), signals["month"].present()
        n = int(counted.sum())
        base = Estimate(
            measure=measure.name,
            subject=subject,
            by="place",
            value=self.place,
            window=span.window,
            variant=VARIANT,
            method="process",
            frame="population",
            numerator=float(self.weight[hit].sum()),
            denominator=float(self.weight[counted].sum()),
            n=n,
            n_numerator=int(hit.sum()),
            n_coded=n,
            n_machine=int((~self.read & inside).sum()),
            threads=threads,
            clusters=len(np.unique(self.cluster[counted])),
            n_places=1,
            first_month=months[0] if months else None,
            last_month=months[-1] if months else None,
            enough=estimate.enough(n, threads),
        )
        if base.enough == "few" or base.clusters < 2:
            yield replace(base, enough="few")
            return
        sample = Sample(
            read=self.read[inside],
            weight=self.weight[inside],
            hit=hit[inside].astype(np.float64),
            counted=counted[inside].astype(np.float64),
            said_hit=sum((self.said[phase] for phase in hits), np.zeros(len(rows)))[inside],
            said_counted=sum((self.said[phase] for phase in among), np.zeros(len(rows)))[inside],
            cluster=np.unique(self.cluster[inside], return_inverse=True)[1],
            stratum=rows["archive"].codes[inside],
        )
        found = powered(sample)
        share = min(max(found.share, 0.0), 1.0)
        base = replace(base, numerator=found.numerator, denominator=found.denominator)
        unread = float(self.weight[~self.read & inside].sum() / self.weight[inside].sum())
        part = readers(measure, replace(base, share=share))
        whole = replace(base, reader_variance=part)
        yield estimate.with_interval(whole, share, found.variance + (part or 0.0), found.clusters - 1)
        yield estimate.with_interval(
            replace(base, method="archive"), share, found.archive_variance, int(sample.read.sum()) - 1, unread
        )
