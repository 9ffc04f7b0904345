"""`make bench`: how far the published intervals can be trusted, where the truth is known. Writes docs/statistics.md.

Three tables: made-up posts in communities, where the truth is a parameter; archives that were read whole, treated as if
a part had been read; and readers who switch.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from flywheel import data, estimate, ppi
from flywheel.data import Data
from flywheel.estimate import Bools, Floats, Ints
from flywheel.ppi import Sample

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "docs" / "statistics.md"

ROUNDS, BOOTSTRAPS, SEED = 2000, 300, 7
CLUSTERS = (10, 30, 80, 300)
PART_READ = 0.2
READ_SHARES = (0.05, 0.1, 0.2, 0.5)
CLASSES = ("none", "train", "evaluate", "iterate")
MIX = np.array([0.45, 0.35, 0.14, 0.06])
"""Classes of made-up posts: of those after a run, 70 of 100 are about evaluating."""

LIKENESS = 0.1
"""Intraclass correlation of a community. With uneven sizes it makes the design effect that the table states; 2.7 was
measured by community on coded posts."""

Interval = tuple[float, float, float]
"""Share, low, high."""


@dataclass
class Score:
    """What became of one estimator's intervals."""

    truth: float
    shares: list[float] = field(default_factory=list)
    widths: list[float] = field(default_factory=list)
    held: int = 0

    def add(self, found: Interval) -> None:
        share, low, high = found
        self.shares.append(share)
        self.widths.append(high - low)
        self.held += low <= self.truth <= high

    def cells(self) -> str:
        count = len(self.shares)
        bias = 100 * (float(np.mean(self.shares)) - self.truth)
        return f"{bias:+.1f} | {100 * self.held / count:.1f} | {100 * float(np.mean(self.widths)):.1f}"


@dataclass(frozen=True)
class World:
    """Made-up posts: class, cluster, whether read, and what the machine says (relevance and three phases)."""

    label: Ints
    cluster: Ints
    read: Bools
    said: Floats


def classifier(found: Data) -> list[Floats]:
    """What the shipped machine says of read posts of each class, out of fold: the classifier of measured quality."""
    says: list[list[Sequence[float]]] = [[] for _ in CLASSES]
    for post in found.posts:
        if post.url in found.said:
            says[CLASSES.index(post.phase or "none")].append(found.said[post.url])
    return [np.array(rows, dtype=np.float64) for rows in says]


def world(rng: np.random.Generator, clusters: int, machine: Sequence[Floats], mix: Floats = MIX) -> World:
    """Communities of uneven size (log-normal), alike within; a fifth of the posts is read, at random."""
    sizes = 1 + rng.poisson(rng.lognormal(4.1, 0.8, clusters))
    inside = rng.dirichlet(mix * (1 / LIKENESS - 1), clusters)
    cluster = np.repeat(np.arange(clusters), sizes)
    label = (inside.cumsum(axis=1)[cluster] > rng.random((len(cluster), 1))).argmax(axis=1)
    said = np.empty((len(label), 4))
    for which, rows in enumerate(machine):
        here = label == which
        said[here] = rows[rng.integers(len(rows), size=int(here.sum()))]
    return World(label, cluster, rng.random(len(label)) < PART_READ, said)


def interval(share: float, variance: float, df: float, clusters: int) -> Interval:
    """As `estimate` gives it: the logit scale, and the exact bound where nothing or everything was counted."""
    if 0 < share < 1:
        return share, *estimate.interval(share, variance, df)
    bound = estimate.open_bound(clusters)
    return (share, 0.0, bound) if share <= 0 else (share, 1 - bound, 1.0)


@dataclass(frozen=True)
class Counted:
    """The read posts after a run: whether each is about evaluating, and its cluster, numbered from 0."""

    hit: Bools
    cluster: Ints

    @classmethod
    def of(cls, of: World) -> Counted:
        which = of.read & (of.label >= 2)
        return cls(of.label[which] == 2, np.unique(of.cluster[which], return_inverse=True)[1])

    def ratio(self, cluster: Ints | None = None) -> estimate.Ratio:
        ones = np.ones(len(self.hit))
        return estimate.ratio(ones, self.hit, ones > 0, self.cluster if cluster is None else cluster)


def published(of: World) -> Interval:
    found = Counted.of(of).ratio()
    return interval(found.share, found.variance, found.clusters - 1, found.clusters)


def one_by_one(of: World) -> Interval:
    counted = Counted.of(of)
    found = counted.ratio(np.arange(len(counted.hit)))
    return interval(found.share, found.variance, found.clusters - 1, found.clusters)


def corrected(of: World, power: float) -> tuple[float, float, Floats]:
    """Share, variance with each cluster's residual over (1 - leverage) ** power, and the leverages: CR2 with 1/2, the
    jackknife's CR3 with 1."""
    counted = Counted.of(of)
    share = float(counted.hit.mean())
    sizes = np.bincount(counted.cluster).astype(np.float64)
    leverage = sizes / sizes.sum()
    residual = np.bincount(counted.cluster, counted.hit - share) / (1 - leverage) ** power
    return share, float((residual**2).sum()) / sizes.sum() ** 2, leverage


def bell_mccaffrey(of: World) -> Interval:
    """CR2 with Bell and McCaffrey's degrees of freedom (*Survey Methodology* 28, 2002), for a mean."""
    share, variance, leverage = corrected(of, 0.5)
    own = np.diag(leverage) - np.outer(leverage, leverage)
    scaled = own / np.sqrt(np.outer(1 - leverage, 1 - leverage))
    df = float(np.trace(scaled)) ** 2 / float((scaled**2).sum())
    return interval(share, variance, max(df, 1.0), len(leverage))


def as_plain(of: World) -> tuple[float, float, int]:
    """Every residual as it is, and k / (k - 1)."""
    share, variance, leverage = corrected(of, 0.0)
    return share, variance * len(leverage) / (len(leverage) - 1), len(leverage)


def plain(of: World) -> Interval:
    share, variance, clusters = as_plain(of)
    return interval(share, variance, clusters - 1, clusters)


def jackknife(of: World) -> Interval:
    share, variance, leverage = corrected(of, 1.0)
    return interval(share, variance, len(leverage) - 1, len(leverage))


def bootstrap(of: World) -> Interval:
    counted = Counted.of(of)
    sizes = np.bincount(counted.cluster).astype(np.float64)
    hits = np.bincount(counted.cluster, counted.hit)
    clusters = len(sizes)
    rng = np.random.default_rng(SEED)
    times = rng.multinomial(clusters, np.full(clusters, 1 / clusters), BOOTSTRAPS).astype(np.float64)
    low, high = np.quantile((times @ hits) / (times @ sizes), (0.025, 0.975))
    return float(counted.hit.mean()), float(low), float(high)


def sample_of(of: World) -> Sample:
    size, n = len(of.label), int(of.read.sum())
    counted, hit = of.label >= 2, of.label == 2
    return Sample(
        read=of.read,
        weight=np.where(of.read, size / n, 1.0),
        hit=hit.astype(np.float64),
        counted=counted.astype(np.float64),
        said_hit=of.said[:, 0] * of.said[:, 2],
        said_counted=of.said[:, 0] * (of.said[:, 2] + of.said[:, 3]),
        cluster=of.cluster,
        stratum=np.zeros(size, dtype=np.int64),
    )


def read_and_machine(of: World) -> Interval:
    found = ppi.powered(sample_of(of))
    return interval(min(max(found.share, 0.0), 1.0), found.variance, found.clusters - 1, found.clusters)


def chosen(said: Floats) -> Ints:
    """The class that the machine's labels say: a signal from one half on, then the likeliest phase."""
    return np.where(said[:, 0] >= 0.5, 1 + said[:, 1:].argmax(axis=1), 0)


def classify_and_count(of: World) -> Interval:
    labels = chosen(of.said)
    hits, counted = int((labels == 2).sum()), int((labels >= 2).sum())
    share = hits / counted
    return interval(share, share * (1 - share) / counted, counted - 1, counted)


ESTIMATORS: Mapping[str, Callable[[World], Interval]] = {
    "**published, where readers agree: ratio, clustered (`process`)**": published,
    "one by one, as if posts did not hang together": one_by_one,
    "bootstrap of clusters, percentile": bootstrap,
    "k / (k - 1) in place of CR2": plain,
    "CR2, Bell and McCaffrey's degrees of freedom": bell_mccaffrey,
    "jackknife of clusters (CR3)": jackknife,
    "read and machine, PPI++, clustered": read_and_machine,
    "classify and count": classify_and_count,
}

PLACES = (0.62, 0.69, 0.74, 0.79)
"""Four places for the mean: the part of evaluate after a run that each has."""


def four_places(rng: np.random.Generator, clusters: int, machine: Sequence[Floats]) -> list[World]:
    mixes = [np.array([MIX[0], MIX[1], 0.2 * share, 0.2 * (1 - share)]) for share in PLACES]
    return [world(rng, clusters, machine, mix) for mix in mixes]


def mean_of_places(found: Sequence[tuple[float, float, int]]) -> Interval:
    """From each place's share, variance and number of clusters, as `estimate` does it."""
    shares = [share for share, _, _ in found]
    if not all(0 < share < 1 for share in shares):
        bounds = [interval(share, variance, k - 1, k) for share, variance, k in found]
        low, high = estimate.mean_of_bounds(shares, [b[1] for b in bounds], [b[2] for b in bounds])
        return float(np.mean(shares)), low, high
    mean, variance, df = estimate.mean(shares, [variance for _, variance, _ in found], [k - 1 for *_, k in found])
    return mean, *estimate.interval(mean, variance, df)


def as_published(of: World) -> tuple[float, float, int]:
    found = Counted.of(of).ratio()
    return found.share, found.variance, found.clusters


MEANS: Mapping[str, Callable[[World], tuple[float, float, int]]] = {
    "**published, where readers agree: mean over four such places**": as_published,
    "k / (k - 1) in place of CR2: mean over four such places": as_plain,
}


def made_up(machine: Sequence[Floats], rounds: int) -> Iterator[str]:
    truth = float(MIX[2] / (MIX[2] + MIX[3]))
    for clusters in CLUSTERS:
        scores = {name: Score(truth) for name in ESTIMATORS}
        means = {name: Score(float(np.mean(PLACES))) for name in MEANS}
        n, effect = [], []
        rng = np.random.default_rng([SEED, clusters])
        for _ in range(rounds):
            of = world(rng, clusters, machine)
            counted = Counted.of(of)
            n.append(len(counted.hit))
            if 0 < counted.hit.mean() < 1:
                effect.append(counted.ratio().variance / counted.ratio(np.arange(len(counted.hit))).variance)
            for name, estimator in ESTIMATORS.items():
                scores[name].add(estimator(of))
            places = four_places(rng, clusters, machine)
            for name, of_place in MEANS.items():
                means[name].add(mean_of_places([of_place(place) for place in places]))
        label = f"{clusters} | {np.median(n):.0f} | {np.median(effect):.1f}"
        for name, score in (*scores.items(), *means.items()):
            yield f"| {label} | {name} | {score.cells()} |"
        print(f"{clusters} clusters done", flush=True)


def archives(found: Data, rounds: int) -> Iterator[str]:
    """Each place's archives as if a part had been read at random. The truth is the share over all that was read."""
    for place in found.vocabulary.places.values():
        posts = [post for post in found.posts if post.place == place.slug and post.url in found.said]
        if place.frame != "population" or not posts:
            continue
        said = np.array([found.said[post.url] for post in posts])
        label = np.array([CLASSES.index(post.phase or "none") for post in posts])
        for measure, hits, among in (("evaluate, of 100", (2,), (1, 2, 3)), ("headline", (2,), (2, 3))):
            counted, hit = np.isin(label, among), np.isin(label, hits)
            truth = float(hit.sum() / counted.sum())
            machine = chosen(said)
            naive = float(np.isin(machine, hits).sum() / np.isin(machine, among).sum())
            size = int(np.isin(machine, among).sum())
            everything = Sample(
                read=np.ones(len(posts), dtype=bool),
                weight=np.ones(len(posts)),
                hit=hit.astype(np.float64),
                counted=counted.astype(np.float64),
                said_hit=said[:, 0] * said[:, list(hits)].sum(axis=1),
                said_counted=said[:, 0] * said[:, list(among)].sum(axis=1),
                cluster=np.arange(len(posts)),
                stratum=np.unique([post.archive or "" for post in posts], return_inverse=True)[1],
            )
            for part in READ_SHARES:
                scores = {name: Score(truth) for name in ("read posts alone", "**read and machine, PPI++**")}
                signals, thin = [], 0
                rng = np.random.default_rng([SEED, len(posts), round(1000 * part), len(among)])
                for _ in range(rounds):
                    drawn = as_if_read(rng, everything, part)
                    n = int((drawn.read & counted).sum())
                    signals.append(n)
                    if n < estimate.ABOUT:
                        thin += 1
                        continue
                    for (_, score), power in zip(scores.items(), (0.0, None), strict=True):
                        of = ppi.powered(drawn, power)
                        share = min(max(of.share, 0.0), 1.0)
                        score.add(interval(share, of.archive_variance, of.clusters - 1, of.clusters))
                label_of = f"{place.short} | {measure}, {100 * truth:.0f} | {100 * part:.0f} | {np.median(signals):.0f}"
                if thin > rounds / 2:
                    yield f"| {label_of} | too few to tell in {100 * thin / rounds:.0f} of 100 rounds | | | |"
                    continue
                for name, score in scores.items():
                    yield f"| {label_of} | {name} | {score.cells()} |"
            count = Score(truth)
            count.add(interval(naive, naive * (1 - naive) / size, size - 1, size))
            yield f"| {place.short} | {measure}, {100 * truth:.0f} | 0 | 0 | classify and count | {count.cells()} |"
        print(f"{place.slug} done", flush=True)


def as_if_read(rng: np.random.Generator, everything: Sample, part: float) -> Sample:
    """A random part of each archive counts as read and stands for all of it."""
    read = np.zeros(len(everything.read), dtype=bool)
    weight = np.ones(len(read))
    for stratum in np.unique(everything.stratum):
        here = np.flatnonzero(everything.stratum == stratum)
        drawn = rng.permutation(here)[: max(2, round(part * len(here)))]
        read[drawn] = True
        weight[drawn] = len(here) / len(drawn)
    return replace(everything, read=read, weight=weight)


SWITCHING = (0.0, 0.1, 0.2)


def switching_readers(rounds: int) -> Iterator[str]:
    """Read posts after a run in 80 communities; a reading says the other phase of a post with odds of the post's own.
    The truth is what readers say on average."""
    for rate in SWITCHING:
        alone, added = Score(0.0), Score(0.0)
        rng = np.random.default_rng([SEED, round(100 * rate)])
        part = []
        truth = 0.7 * (1 - rate) + 0.3 * rate
        alone.truth = added.truth = truth
        for _ in range(rounds):
            cluster = np.repeat(np.arange(80), 1 + rng.poisson(2.0, 80))
            inside = rng.beta(0.7 * 9, 0.3 * 9, 80)[cluster]
            hit = rng.random(len(cluster)) < inside
            odds = rng.beta(rate * 2, (1 - rate) * 2, len(cluster)) if rate else np.zeros(len(cluster))
            first, second = (hit ^ (rng.random(len(cluster)) < odds) for _ in range(2))
            twice = rng.random(len(cluster)) < 0.25
            ones = np.ones(len(cluster))
            found = estimate.ratio(ones, first, ones > 0, cluster)
            more = float((first != second)[twice].mean()) / 2 / len(cluster)
            part.append(more / found.variance)
            alone.add(interval(found.share, found.variance, found.clusters - 1, found.clusters))
            added.add(interval(found.share, found.variance + more, found.clusters - 1, found.clusters))
        differ = f"{100 * rate:.0f} | {100 * float(np.mean(part)):.0f}"
        yield f"| {differ} | clustered, without the readers' part | {alone.cells()} |"
        yield f"| {differ} | **published: readers' part added** | {added.cells()} |"


def verdict(lines: Sequence[str]) -> str:
    """What the table of made-up posts says of the published intervals."""
    covered: dict[str, dict[str, float]] = {}
    for line in lines:
        clusters, _, _, name, _, covers, _ = (cell.strip() for cell in line.strip("|").split("|"))
        if name.startswith("**published"):
            covered.setdefault(name.strip("*"), {})[clusters] = float(covers)
    said = []
    for name, by_clusters in covered.items():
        short = [f"{covers:.1f} with {clusters} communities" for clusters, covers in by_clusters.items() if covers < 93]
        said.append(
            f"{name[0].upper()}{name[1:]}: covers {min(by_clusters.values()):.1f} to {max(by_clusters.values()):.1f}"
            + (f", short of the 93 that it should reach: {', '.join(short)}." if short else ".")
        )
    return " ".join(said)


def paragraph(text: str) -> str:
    return textwrap.fill(" ".join(text.split()), width=118)


def main(rounds: int = ROUNDS) -> None:
    found = data.read(ROOT / "data")
    head = "| bias | covers | width |"
    simulated = list(made_up(classifier(found), rounds))
    lines = [
        "# How far the intervals can be trusted",
        "",
        paragraph(
            f"""`make bench` writes this page; every figure is seeded. Nominal coverage is 95 of 100. Bias and width
            are in points of 100. {rounds:,} rounds tell a coverage of 95 to ±{196 * math.sqrt(0.0475 / rounds):.1f}."""
        ),
        "",
        "## Made-up posts, where the truth is known",
        "",
        paragraph(
            f"""The share of evaluate after a run, which is {100 * MIX[2] / (MIX[2] + MIX[3]):.0f} of 100. Communities
            have uneven sizes (log-normal) and are alike within (intraclass correlation {LIKENESS}); a fifth of the
            posts is read. The machine errs as the shipped one does: what it says of a made-up post is what it says of
            a read one of the same class, out of fold. n is the median number of read posts after a run; the design
            effect is how far hanging together widens the variance."""
        ),
        "",
        paragraph(verdict(simulated)),
        "",
        f"| communities | n | design effect | estimator {head}",
        "|---|---|---|---|---|---|---|",
        *simulated,
        "",
        "## Archives that were read whole, as if a part had been read",
        "",
        paragraph(
            f"""What a weekly build meets: some posts read, all tagged. The truth is the share over all read posts of
            the place; the intervals are those for this archive as it is. {rounds // 2:,} rounds. Rounds of under ten
            signals are left out, as pages leave them out; where that is most rounds the row says so. Classify and count
            reads no post, so it is one interval, which holds the truth (100) or does not (0)."""
        ),
        "",
        f"| place | measure, truth | read, of 100 | signals | estimator {head}",
        "|---|---|---|---|---|---|---|---|",
        *archives(found, rounds // 2),
        "",
        "## Readers who switch",
        "",
        paragraph(
            """80 communities, about 240 posts after a run, a quarter of them read twice. A switched label leaves a
            residual like any other chance, so the clustered interval allows for it already; adding the variance
            that two readings show, as is published, counts it twice and errs on the wide side. “Readers' part” is that
            variance, of 100 of the other."""
        ),
        "",
        f"| switched, of 100 | readers' part | interval {head}",
        "|---|---|---|---|---|---|",
        *switching_readers(rounds),
        "",
    ]
    OUT.write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
