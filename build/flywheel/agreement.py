"""How far two blind readings of the same post agree: the rows of the table `reader_agreement`.

From the table of what the first reading said against what the second said, with q labels that occur and n posts:

share   posts with the same answer twice, of all
alpha   Krippendorff's alpha for names: 1 - observed / expected disagreement, expected from both readings' labels
        together, drawn without putting back (Krippendorff, *Content Analysis*, 2013, chapter 12)
kappa   Cohen's kappa: expected from each reading's own labels (*Educational and Psychological Measurement* 20, 1960)
ac1     Gwet's AC1: expected from sum of pi (1 - pi) / (q - 1), which holds where nearly all posts get one label
        (*British Journal of Mathematical and Statistical Psychology* 61, 2008)

A coefficient's 95 % interval is the percentile interval of a seeded bootstrap of clusters, as shares have them
(`estimate.cluster_rows`). Where no post got two answers every draw gives the same figure and there is no interval. The
share has the interval that all shares have. Below `estimate.ABOUT` posts, or three threads, there is no figure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from flywheel import estimate
from flywheel.data import Coding
from flywheel.estimate import Floats, Ints
from flywheel.signal import Post
from flywheel.vocabulary import Vocabulary

LABELS, ASKS, PERSON = (1, 2), (4, 5), (0, -1)
"""The two blind readings of signal and theme, and the two of the second question; what stands beside a person."""

DRAWS, SEED = 1000, 0
DIGITS = 4

Pair = tuple[Coding, Coding]


@dataclass(frozen=True, slots=True)
class Agreement:
    """One row: how far two readings agree on one question, among all posts, or those of one `seen` or place."""

    question: str
    by: str
    value: str
    coefficient: str
    figure: float | None
    low: float | None
    high: float | None
    n: int
    same: int
    clusters: int
    enough: str


@dataclass(frozen=True)
class Question:
    """What is compared: `answer` gives a reading's label, `asked` says whether a pair of readings counts."""

    name: str
    readings: tuple[int, int]
    answer: Callable[[Coding], str]
    asked: Callable[[Coding, Coding], bool]
    coefficients: tuple[str, ...] = ("share", "alpha", "kappa", "ac1")


def questions(vocabulary: Vocabulary) -> list[Question]:
    """All that is asked, in the order in which pages show it. A post without a theme has the phase `none`."""

    def signal(reading: Coding) -> str:
        return {True: "signal", False: "no signal", None: "cannot tell"}[reading.pain]

    def phase(reading: Coding) -> str:
        return vocabulary.phase_of(reading.theme) or "none"

    def always(first: Coding, second: Coding) -> bool:
        return True

    def either_after(first: Coding, second: Coding) -> bool:
        return not {phase(first), phase(second)} <= {"train", "none"}

    def both_signal(first: Coding, second: Coding) -> bool:
        return bool(first.pain and second.pain)

    return [
        Question("signal or not", LABELS, signal, always),
        Question("phase, none included", LABELS, phase, always),
        Question(
            "theme, where both say signal",
            LABELS,
            lambda reading: reading.theme or "none",
            both_signal,
        ),
        # Chosen by what the readings say, so a coefficient of chance agreement would mean nothing here.
        Question("phase, where either says after the run", LABELS, phase, either_after, ("share",)),
        Question(
            "the second question",
            ASKS,
            lambda reading: reading.ask or "none",
            lambda first, second: bool(first.ask and second.ask),
        ),
        Question(
            "whether a run is finished",
            ASKS,
            lambda reading: {True: "yes", False: "no", None: "none"}[reading.run],
            lambda first, second: bool(first.ask and second.ask),
        ),
        Question("a person beside what stands: signal or not", PERSON, signal, always),
        Question("a person beside what stands: phase, none included", PERSON, phase, always),
        Question(
            "a person beside what stands: theme, where both say signal",
            PERSON,
            lambda reading: reading.theme or "none",
            both_signal,
        ),
    ]


def _beside_a_person(post: Post, codings: Iterable[Coding]) -> dict[int, Coding]:
    """What language models made of a post and what the first person did, as readings 0 and -1; nothing where a post has
    no reading by a person, or where its label is a person's."""
    persons = sorted((coding for coding in codings if coding.reader == "person"), key=lambda coding: coding.reading)
    if not persons or post.labelled_by != "coded" or any(post.coder == coding.coder for coding in persons):
        return {}
    pain = {"signal": True, "not_a_signal": False, "cannot_tell": None}[post.verdict]
    stands = Coding(
        id=post.id,
        reading=0,
        coder=post.coder,
        pain=pain,
        theme=post.theme,
        also=post.also,
        why=post.why,
        ask=post.ask,
        run=post.run,
        sure=post.sure,
        reason=None,
    )
    return dict(zip(PERSON, (stands, persons[0]), strict=True))


def coefficients(tables: Floats) -> dict[str, Floats]:
    """The four figures of tables of counts of shape (..., q, q): rows the first reading, columns the second.

    Where a figure does not exist (no post, or all of one label) it is NaN.
    """
    n = tables.sum(axis=(-2, -1))
    same = np.trace(tables, axis1=-2, axis2=-1)
    rows, columns = tables.sum(axis=-1), tables.sum(axis=-2)
    both = rows + columns
    labels = tables.shape[-1]
    with np.errstate(invalid="ignore", divide="ignore"):
        share = same / n
        apart = (4 * n**2 - (both**2).sum(axis=-1)) / (2 * n * (2 * n - 1))
        by_own = (rows * columns).sum(axis=-1) / n**2
        pi = both / (2 * n[..., None])
        by_gwet = (pi * (1 - pi)).sum(axis=-1) / (labels - 1)
        return {
            "share": share,
            "alpha": 1 - (1 - share) / apart,
            "kappa": (share - by_own) / (1 - by_own),
            "ac1": (share - by_gwet) / (1 - by_gwet),
        }


def agreement(
    posts: Iterable[Post], codings: Iterable[Coding], vocabulary: Vocabulary, clustered_by: Mapping[str, str]
) -> list[Agreement]:
    """All rows of the table. `posts` are those that were read, `codings` the readings of posts that were read more than
    once, `clustered_by` the rule of each place (`estimate.clusters`)."""
    known = {post.id: post for post in posts}
    by_post: dict[str, dict[int, Coding]] = {}
    for coding in codings:
        if coding.id in known:
            by_post.setdefault(coding.id, {})[coding.reading] = coding
    for post, said in by_post.items():
        said.update(_beside_a_person(known[post], said.values()))
    found: list[Agreement] = []
    for question in questions(vocabulary):
        first, second = question.readings
        pairs = {
            post: (said[first], said[second])
            for post, said in sorted(by_post.items())
            if {first, second} <= said.keys() and question.asked(said[first], said[second])
        }
        for by, value, inside in _groups([known[post] for post in pairs], vocabulary):
            found += _figures(question, by, value, inside, [pairs[post.id] for post in inside], clustered_by)
    return found


def _groups(posts: Sequence[Post], vocabulary: Vocabulary) -> Iterator[tuple[str, str, Sequence[Post]]]:
    yield "", "", posts
    for seen in ("opening", "title", "comment"):
        yield "seen", seen, [post for post in posts if post.seen == seen]
    for place in vocabulary.places:
        yield "place", place, [post for post in posts if post.place == place]


def _figures(
    question: Question,
    by: str,
    value: str,
    posts: Sequence[Post],
    pairs: Sequence[Pair],
    clustered_by: Mapping[str, str],
) -> Iterator[Agreement]:
    answers = [(question.answer(first), question.answer(second)) for first, second in pairs]
    agree = np.array([first == second for first, second in answers], dtype=bool)
    names, cluster = np.unique([_cluster(post, clustered_by) for post in posts], return_inverse=True)
    enough = estimate.enough(len(posts), len({post.thread for post in posts}))
    same = int(agree.sum())
    if enough == "few" or len(names) < 2:
        for coefficient in question.coefficients:
            yield Agreement(
                question.name, by, value, coefficient, None, None, None, len(posts), same, len(names), "few"
            )
        return
    tables = _tables(answers, cluster)
    whole, again = coefficients(tables.sum(axis=0)), coefficients(_drawn(tables))
    for coefficient in question.coefficients:
        figure = float(whole[coefficient])
        low: float | None
        high: float | None
        if np.isnan(figure):
            low = high = None
        elif coefficient == "share":
            low, high = _share_interval(agree, cluster)
        elif same == len(posts):
            low = high = None
        else:
            low, high = np.nanquantile(again[coefficient], (0.025, 0.975)).tolist()
        yield Agreement(
            question=question.name,
            by=by,
            value=value,
            coefficient=coefficient,
            figure=None if np.isnan(figure) else round(figure, DIGITS),
            low=None if low is None else round(low, DIGITS),
            high=None if high is None else round(high, DIGITS),
            n=len(posts),
            same=same,
            clusters=len(names),
            enough=enough,
        )


def _cluster(post: Post, clustered_by: Mapping[str, str]) -> str:
    if clustered_by.get(post.place or "") == estimate.COMMUNITY:
        return f"c:{post.community}"
    return f"t:{post.thread}" if post.author is None else f"a:{post.source}:{post.author}"


def _tables(answers: Sequence[tuple[str, str]], cluster: Ints) -> Floats:
    """One table of counts a cluster."""
    labels = sorted({label for pair in answers for label in pair})
    number = {label: n for n, label in enumerate(labels)}
    tables = np.zeros((int(cluster.max()) + 1, len(labels), len(labels)))
    for where, (first, second) in zip(cluster.tolist(), answers, strict=True):
        tables[where, number[first], number[second]] += 1
    return tables


def _drawn(tables: Floats) -> Floats:
    """Tables of counts of DRAWS bootstrap samples of clusters. Most cells are empty, so only the others are added."""
    clusters, labels, _ = tables.shape
    flat = tables.reshape(clusters, labels**2)
    filled = np.flatnonzero(flat.any(axis=0))
    times = np.random.default_rng(SEED).multinomial(clusters, np.full(clusters, 1 / clusters), DRAWS)
    drawn = np.zeros((DRAWS, labels**2))
    drawn[:, filled] = times.astype(np.float64) @ flat[:, filled]
    return drawn.reshape(DRAWS, labels, labels)


def _share_interval(agree: estimate.Bools, cluster: Ints) -> tuple[float, float]:
    found = estimate.ratio(np.ones(len(agree)), agree, np.ones(len(agree), dtype=bool), cluster)
    if 0 < found.share < 1:
        return estimate.interval(found.share, found.variance, found.clusters - 1)
    bound = estimate.open_bound(found.clusters)
    return (0.0, bound) if found.share < 0.5 else (1 - bound, 1.0)
