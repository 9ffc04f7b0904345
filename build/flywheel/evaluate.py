"""How good the tagger is, on posts that its models did not see: the rows of `data/tagger_report.jsonl`.

Five folds, stratified by archive and label; posts of one thread, one author or one near-copy group are in one fold.
Beside it "a place never seen": each place left out in turn. Intervals are 95 %, from a bootstrap of those groups.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn.metrics import average_precision_score, precision_recall_curve

from flywheel import train
from flywheel.tag import Floats, Thresholds, choose, choose_phase, phase_sums
from flywheel.train import Flags, Numbers, Scores, Table, Trained
from flywheel.vocabulary import Vocabulary

FREQUENT = (
    "environment-support",
    "data-preparation",
    "training-dynamics",
    "export-load",
    "speed-cost",
    "memory-hardware",
    "did-it-get-better",
    "output-defects",
    "adapter-management",
    "continual-updates",
)
ENOUGH_EXAMPLES = 8
PRECISION = 0.9
REPEATS, SEED = 300, 0
CURVE = (0.25, 0.5)
BINS = 10


class Row(NamedTuple):
    """One figure. `task`: relevance, theme, phase, ask. `subject`: a class, or `all`, or a set of classes.

    `seen` says on what it was measured, `how` by which split; `predicted` stands in rows of the confusion table,
    `learned_from` (posts of raw text) in those of the learning curve; `support` is how many posts the figure rests on.
    """

    task: str
    subject: str
    measure: str
    value: float
    low: float | None
    high: float | None
    support: int
    seen: str = "all"
    how: str = "five folds"
    predicted: str | None = None
    learned_from: int | None = None

    def line(self) -> dict[str, Any]:
        def rounded(value: float | None) -> float | None:
            return None if value is None else round(value, 4)

        return self._asdict() | {"value": rounded(self.value), "low": rounded(self.low), "high": rounded(self.high)}


Metric = Callable[[Floats], float]
"""A figure, given a weight for each post."""


def average_precision(labels: Numbers, scores: Floats) -> Metric:
    return lambda weights: float(average_precision_score(labels, scores, sample_weight=weights))


def recall_at_precision(labels: Numbers, scores: Floats, least: float = PRECISION) -> Metric:
    """The most signals that can be found while `least` of what is found are signals."""

    def value(weights: Floats) -> float:
        precision, recall, _ = precision_recall_curve(labels, scores, sample_weight=weights)
        return float(recall[precision >= least].max())

    return value


def calibration_error(stated: Floats, held: Flags) -> Metric:
    """Expected calibration error: in ten bins of what was stated, the mean gap to what held."""
    bins = np.minimum((stated * BINS).astype(int), BINS - 1)

    def value(weights: Floats) -> float:
        gaps = np.bincount(bins, weights * (stated - held), minlength=BINS)
        return float(np.abs(gaps).sum() / weights.sum())

    return value


def _table(labels: Numbers, chosen: Numbers, weights: Floats, classes: int) -> Floats:
    counts: Floats = np.bincount(labels * classes + chosen, weights, minlength=classes**2).astype(np.float64)
    return counts.reshape(classes, classes)


def precision_recall_f1(labels: Numbers, chosen: Numbers, which: int, classes: int) -> dict[str, Metric]:
    def of(pick: Callable[[float, float, float], float]) -> Metric:
        def value(weights: Floats) -> float:
            table = _table(labels, chosen, weights, classes)
            return pick(table[which, which], table[:, which].sum(), table[which].sum())

        return value

    return {
        "precision": of(lambda both, said, is_: both / said if said else 0.0),
        "recall": of(lambda both, said, is_: both / is_ if is_ else 0.0),
        "f1": of(lambda both, said, is_: 2 * both / (said + is_) if said + is_ else 0.0),
    }


def macro_f1(labels: Numbers, chosen: Numbers, which: Sequence[int], classes: int) -> Metric:
    def value(weights: Floats) -> float:
        table = _table(labels, chosen, weights, classes)
        sums = table.sum(axis=0) + table.sum(axis=1)
        return float(np.mean([2 * table[n, n] / sums[n] if sums[n] else 0.0 for n in which]))

    return value


def with_interval(metric: Metric, groups: Numbers) -> tuple[float, float, float]:
    """A figure and its 95 % interval: groups are drawn again, with all their posts."""
    known, number = np.unique(groups, return_inverse=True)
    rng = np.random.default_rng(SEED)
    drawn = [
        metric(np.bincount(rng.integers(len(known), size=len(known)), minlength=len(known))[number].astype(float))
        for _ in range(REPEATS)
    ]
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    return metric(np.ones(len(groups))), float(low), float(high)


class Judged(NamedTuple):
    """What was said of posts that the models did not see: probabilities, and the choices made from them."""

    table: Table
    relevance: Floats
    themes: Floats
    asks: Floats
    theme: Numbers
    phase: Numbers
    groups: Numbers
    kinds: npt.NDArray[np.str_]
    themes_of: tuple[str, ...]
    phases_of: tuple[str, ...]
    phase_of: tuple[str, ...]
    thresholds: Thresholds

    @property
    def relevant(self) -> Numbers:
        return self.table.relevant[: len(self.relevance)]

    @property
    def true_theme(self) -> Numbers:
        return self.table.theme[: len(self.relevance)]

    @property
    def true_ask(self) -> Numbers:
        return self.table.ask[: len(self.relevance)]


def judged(trained: Trained, probabilities: train.Probabilities, priors: Floats, vocabulary: Vocabulary) -> Judged:
    names = tuple(vocabulary.themes)
    phases = tuple(vocabulary.phases)
    phase_of = tuple(vocabulary.themes[name].phase for name in names)
    return Judged(
        table=trained.table,
        relevance=probabilities.relevance,
        themes=probabilities.themes,
        asks=probabilities.asks,
        theme=choose(probabilities.themes, priors),
        phase=choose_phase(probabilities.themes, priors, phase_of, phases),
        groups=trained.groups,
        kinds=np.array([example.post.seen for example in trained.raw]),
        themes_of=names,
        phases_of=phases,
        phase_of=phase_of,
        thresholds=trained.model.thresholds,
    )


def report(trained: Trained, vocabulary: Vocabulary, say: Callable[[str], None] = lambda line: None) -> list[Row]:
    """All rows: on the five folds, then the learning curve, then each place left out. Learns some 15 models."""
    found = judged(trained, trained.probabilities, trained.priors, vocabulary)
    rows = [*relevance_rows(found), *theme_rows(found), *phase_rows(found), *ask_rows(found)]
    nameless = found._replace(relevance=trained.probabilities.nameless)
    rows += [*detail_rows(found), *relevance_rows(nameless, "five folds, community not told")]
    for part in CURVE:
        say(f"learning from {part:.0%} of the posts")
        rows += _curve_rows(trained, part, vocabulary)
    say("leaving out each place in turn")
    try:
        rows += _place_rows(trained, vocabulary)
    except train.TrainingError as error:
        say(f"a place never seen: not measured, {error}")
    return rows


_KINDS = {"all": "all", "opening": "openings", "title": "titles", "comment": "comments"}


def relevance_rows(found: Judged, how: str = "five folds") -> Iterator[Row]:
    for kind, seen in _KINDS.items():
        which = (found.relevant >= 0) & ((found.kinds == kind) | (kind == "all"))
        labels, said, groups = found.relevant[which], found.relevance[which], found.groups[which]
        if len(set(labels.tolist())) < 2:
            continue
        metrics = {
            "average precision": average_precision(labels, said),
            "recall at 90 % precision": recall_at_precision(labels, said),
            "calibration error": calibration_error(said, labels == 1),
        }
        passed = (said >= found.thresholds.signal).astype(np.int64)
        for measure, metric in precision_recall_f1(labels, passed, 1, 2).items():
            metrics[f"{measure} at the operating point"] = metric
        for measure, metric in metrics.items():
            yield Row("relevance", "signal", measure, *with_interval(metric, groups), int(which.sum()), seen, how)


def theme_rows(found: Judged, how: str = "five folds") -> Iterator[Row]:
    which = found.true_theme >= 0
    labels, chosen, groups = found.true_theme[which], found.theme[which], found.groups[which]
    counts = np.bincount(labels, minlength=len(found.themes_of))
    sets = {
        "the ten frequent": [found.themes_of.index(name) for name in FREQUENT],
        f"with {ENOUGH_EXAMPLES} examples": np.flatnonzero(counts >= ENOUGH_EXAMPLES).tolist(),
    }
    for name, members in sets.items():
        metric = macro_f1(labels, chosen, members, len(found.themes_of))
        yield Row("theme", name, "macro-F1", *with_interval(metric, groups), int(counts[members].sum()), "all", how)
    yield Row("theme", "all", "accuracy", *with_interval(_share(labels == chosen), groups), len(labels), "all", how)
    sure = found.themes[which][np.arange(len(labels)), chosen] >= found.thresholds.unsure
    yield Row("theme", "all", "share that is sure", *with_interval(_share(sure), groups), len(labels), "all", how)
    if sure.any():
        metric = _share(labels[sure] == chosen[sure])
        yield Row(
            "theme", "all", "accuracy where sure", *with_interval(metric, groups[sure]), int(sure.sum()), "all", how
        )


def phase_rows(found: Judged, how: str = "five folds") -> Iterator[Row]:
    which = found.true_theme >= 0
    number = np.array([found.phases_of.index(phase) for phase in found.phase_of])
    labels, chosen, groups = number[found.true_theme[which]], found.phase[which], found.groups[which]
    sums = phase_sums(found.themes[which], found.phase_of, found.phases_of)
    stated = sums[np.arange(len(labels)), chosen]
    metrics = {
        "macro-F1": macro_f1(labels, chosen, range(len(found.phases_of)), len(found.phases_of)),
        "accuracy": _share(labels == chosen),
        "calibration error": calibration_error(stated, labels == chosen),
    }
    for measure, metric in metrics.items():
        yield Row("phase", "all", measure, *with_interval(metric, groups), len(labels), "all", how)


def ask_rows(found: Judged, how: str = "five folds") -> Iterator[Row]:
    which = found.true_ask >= 0
    labels, chosen, groups = found.true_ask[which], found.asks[which].argmax(axis=1), found.groups[which]
    there = [n for n, count in enumerate(np.bincount(labels, minlength=len(found.table.asks))) if count]
    metric = macro_f1(labels, chosen, there, len(found.table.asks))
    yield Row("ask", "all", "macro-F1", *with_interval(metric, groups), len(labels), "all", how)
    yield Row("ask", "all", "accuracy", *with_interval(_share(labels == chosen), groups), len(labels), "all", how)


def detail_rows(found: Judged) -> Iterator[Row]:
    """Precision, recall and F1 of each theme, phase and ask, and who is taken for whom."""
    themed, asked = found.true_theme >= 0, found.true_ask >= 0
    number = np.array([found.phases_of.index(phase) for phase in found.phase_of])
    tasks = (
        ("theme", themed, found.true_theme[themed], found.theme[themed], found.themes_of),
        ("phase", themed, number[found.true_theme[themed]], found.phase[themed], found.phases_of),
        ("ask", asked, found.true_ask[asked], found.asks[asked].argmax(axis=1), found.table.asks),
    )
    for task, which, labels, chosen, names in tasks:
        table = _table(labels, chosen, np.ones(len(labels)), len(names))
        for n, name in enumerate(names):
            support = int(table[n].sum())
            for measure, metric in precision_recall_f1(labels, chosen, n, len(names)).items():
                yield Row(task, name, measure, *with_interval(metric, found.groups[which]), support)
            for other, count in zip(names, table[n].tolist(), strict=True):
                if count:
                    yield Row(task, name, "confusion", count, None, None, support, predicted=other)


def _share(held: Flags) -> Metric:
    return lambda weights: float(weights[held].sum() / weights.sum())


def _curve_rows(trained: Trained, part: float, vocabulary: Vocabulary) -> Iterator[Row]:
    """The same figures with fewer posts to learn from: a random part of the groups."""
    rng = np.random.default_rng(SEED)
    known, number = np.unique(trained.groups, return_inverse=True)
    chosen = np.isin(number, rng.permutation(len(known))[: int(part * len(known))])
    of = np.maximum(trained.table.of, 0)
    kept = np.where(trained.table.of >= 0, chosen[of], rng.random(len(of)) < part)
    scores = train.cross_fit(trained.table, trained.fold, lambda _: kept)
    learned_from = int(chosen.sum() * (1 - 1 / train.FOLDS))
    for row in _headline(trained, scores, trained.fold, vocabulary):
        yield row._replace(learned_from=learned_from, how="five folds, fewer posts")


def _headline(trained: Trained, scores: Scores, fold: Numbers, vocabulary: Vocabulary, how: str = "") -> Iterator[Row]:
    probabilities = train.cross_calibrate(trained.table, scores, fold)
    priors = train.cross_priors(trained.table, probabilities, fold)
    found = judged(trained, probabilities, priors, vocabulary)
    yield from (*relevance_rows(found, how), *theme_rows(found, how), *phase_rows(found, how))


def _place_rows(trained: Trained, vocabulary: Vocabulary) -> Iterator[Row]:
    """Places as folds. What belongs to no place is learned from throughout and not judged."""
    places = [example.post.place or "" for example in trained.raw]
    known = sorted(set(places) - {""})
    if len(known) < 2:
        return
    fold = np.array([known.index(place) if place else len(known) for place in places])
    scores = train.cross_fit(trained.table, fold)
    how = "a place never seen"
    precisions = []
    for number, place in enumerate(known):
        which = (fold == number) & (trained.table.relevant[: len(fold)] >= 0)
        labels, said = trained.table.relevant[: len(fold)][which], scores.relevance[which]
        if len(set(labels.tolist())) == 2:
            found = with_interval(average_precision(labels, said), trained.groups[which])
            precisions.append(found[0])
            yield Row("relevance", "signal", "average precision", *found, int(which.sum()), place, how)
    mean = float(np.mean(precisions))
    yield Row("relevance", "signal", "average precision", mean, None, None, len(precisions), "mean of places", how)
    # Scores of different places are from different models, so nothing else of relevance is pooled.
    yield from (row for row in _headline(trained, scores, fold, vocabulary, how) if row.task != "relevance")
