"""Learns a model from the read posts and whatever of their text is at hand, and measures it on posts left out.

Relevance is learned from raw text alone, as signals against each reason why a post is none; themes from raw text and
the gists of all signals, beside the posts that are none; `ask` from raw text and gists. Every score
that anything is chosen or measured by comes from a model that saw neither the post nor another of its thread, its
author, or a near copy (`cross_fit`).
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.optimize import minimize
from scipy.special import logsumexp
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.model_selection import StratifiedGroupKFold

from flywheel import dedupe, features, tag
from flywheel.data import SECOND_THEME
from flywheel.features import Features, Text
from flywheel.signal import Post
from flywheel.tag import Calibration, Floats, Linear, Model, Thresholds
from flywheel.vocabulary import Vocabulary

Numbers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

FOLDS, SEED, STEPS = 5, 0, 60
RECALL = 0.9
"""The operating point of relevance: the score that nine of ten signals reach."""
UNSURE = 0.35
"""A first theme below is unsure."""
_UNSURE_READING, _ALSO_WEIGHT = 0.4, 0.3
"""A reading that was not sure counts less, and so does a second theme."""


_NEVER = -20.0

REASONS: Mapping[str, tuple[str, ...]] = {
    "another field": ("image-model", "not-language"),
    "use": ("inference",),
    "ready model": ("uses-tuned-model", "wants-a-model"),
    "how-to": ("howto",),
    "showing": ("showcase", "news", "maintainer"),
    "mention": ("mention", "no-difficulty", "pretraining", "other"),
}
"""What is no signal, in six kinds of reasons why: each kind has words of its own. All thirteen reasons measured the
same and would make the model twice as large. What has another reason, or none, is a mention."""
VERDICTS = ("signal", *REASONS)


class TrainingError(Exception):
    """Nothing can be learned from what is there, in one sentence."""


@dataclass(frozen=True, slots=True)
class Example:
    """A read post to learn from. `of` is the number of the post whose gist this is, or null where it is raw text."""

    text: Text
    post: Post
    of: int | None = None


def examples(posts: Sequence[Post], texts: Mapping[str, tuple[str, str]]) -> list[Example]:
    """Every read post with its raw text where that is at hand, then every gist of a signal."""
    raw = [Example(Text(*texts[post.url], post.community), post) for post in posts if post.url in texts]
    number = {example.post.id: n for n, example in enumerate(raw)}
    gists = [Example(Text("", post.gist), post, number.get(post.id, -1)) for post in posts if post.gist and post.theme]
    return raw + gists


def groups(raw: Sequence[Example]) -> Numbers:
    """A number a post; posts of one thread, one author or one near-copy group have the same."""
    parent = list(range(len(raw)))

    def root(n: int) -> int:
        while parent[n] != n:
            parent[n] = parent[parent[n]]
            n = parent[n]
        return n

    first: dict[Hashable, int] = {}
    for n, example in enumerate(raw):
        post = example.post
        keys: list[Hashable] = [("thread", post.thread)]
        if post.author is not None:
            keys.append(("author", post.source, post.author))
        for key in keys:
            parent[root(n)] = root(first.setdefault(key, n))
    number = {example.post.id: n for n, example in enumerate(raw)}
    items = [dedupe.Item(e.post.id, e.text.title, e.text.body, e.text.community) for e in raw]
    for pair in dedupe.find_pairs(items):
        parent[root(number[pair.drop])] = root(number[pair.keep])
    return np.array([root(n) for n in range(len(raw))], dtype=np.int64)


def folds(raw: Sequence[Example], grouped: Numbers, count: int = FOLDS) -> Numbers:
    """A fold a post: stratified by archive and label, a group never parted.

    A label with fewer posts than folds is in fewer of them; it is learned and measured all the same.
    """
    count = min(count, len(set(grouped.tolist())))
    if count < 2:
        raise TrainingError("all posts belong to one thread, author or near-copy group: nothing can be left out")
    names = [f"{e.post.archive}|{e.post.theme or e.post.verdict}" for e in raw]
    known = {name: n for n, name in enumerate(sorted(set(names)))}
    strata = np.array([known[name] for name in names])
    found = np.zeros(len(raw), dtype=np.int64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of strata with fewer posts than folds
        split = StratifiedGroupKFold(count, shuffle=True, random_state=SEED).split(strata, strata, grouped)
        for fold, (_, held_out) in enumerate(split):
            found[held_out] = fold
    return found


class Learned(NamedTuple):
    """Linear models over the same columns, not yet calibrated; `nameless` is for posts of an unknown community."""

    relevance: Linear
    nameless: Linear
    theme: Linear
    ask: Linear


@dataclass(frozen=True)
class Table:
    """Examples as numbers: the matrix, and per row the labels (-1 where there is none) and weights.

    `nameless` are the raw rows once more, as if their community were not known. `verdict` is a number in `VERDICTS`.
    """

    matrix: sparse.csr_matrix
    nameless: sparse.csr_matrix
    raw: Flags
    of: Numbers
    verdict: Numbers
    theme: Numbers
    also: tuple[tuple[int, ...], ...]
    ask: Numbers
    sure: Floats
    themes: tuple[str, ...]
    asks: tuple[str, ...]

    @property
    def relevant(self) -> Numbers:
        """1 for a signal, 0 for what is none, -1 where that is not known."""
        return np.where(self.verdict < 0, -1, self.verdict == 0)


def tabulate(found: Sequence[Example], columns: Features, vocabulary: Vocabulary) -> Table:
    themes, asks = tuple(vocabulary.themes), tuple(vocabulary.asks)
    theme_number = {name: n for n, name in enumerate(themes)}
    nameless = [example.text._replace(community="") for example in found if example.of is None]
    return Table(
        matrix=columns.matrix([example.text for example in found]).astype(np.float32),
        nameless=columns.matrix(nameless).astype(np.float32),
        raw=np.array([example.of is None for example in found]),
        of=np.array([n if e.of is None else e.of for n, e in enumerate(found)], dtype=np.int64),
        verdict=np.array([_verdict(e.post) for e in found]),
        theme=np.array([theme_number[e.post.theme] if e.post.theme else -1 for e in found]),
        also=tuple(tuple(theme_number[name] for name in e.post.also) for e in found),
        ask=np.array([asks.index(e.post.ask) if e.post.ask else -1 for e in found]),
        sure=np.array([1.0 if e.post.sure == "high" else _UNSURE_READING for e in found]),
        themes=themes,
        asks=asks,
    )


def _verdict(post: Post) -> int:
    """The number of a post's verdict in `VERDICTS`, -1 where it cannot be told."""
    match post.verdict:
        case "signal":
            return 0
        case "not_a_signal":
            return 1 + next((n for n, whys in enumerate(REASONS.values()) if post.why in whys), len(REASONS) - 1)
    return -1


def _fit(
    matrix: sparse.csr_matrix, labels: Numbers, weights: Floats, classes: tuple[str, ...], balance: float, c: float
) -> Linear:
    """Balanced logistic regression; a class with no example gets a score that is never the highest.

    With one class, or none, every post gets the same scores.
    """
    counts = np.bincount(labels, weights=weights, minlength=len(classes))
    weights = weights * (counts.sum() / len(classes) / np.maximum(counts, 1e-9))[labels] ** balance
    there = np.unique(labels)
    if len(there) < 2:
        bias = np.where(np.isin(np.arange(len(classes)), there), 0.0, _NEVER)
        return Linear(classes, np.zeros((matrix.shape[1], len(classes)), dtype=np.float32), bias)
    with warnings.catch_warnings():
        # Sixty steps on purpose: a hundred measured the same.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = LogisticRegression(C=c, max_iter=STEPS, tol=1e-4).fit(matrix, labels, sample_weight=weights)
    weight = np.zeros((matrix.shape[1], len(classes)), dtype=np.float32)
    bias = np.full(len(classes), _NEVER)
    if len(there) == 2:
        weight[:, there[1]], bias[there] = model.coef_[0], [0.0, float(model.intercept_[0])]
    else:
        weight[:, there], bias[there] = model.coef_.T, model.intercept_
    return Linear(classes, weight, bias)


def fit(table: Table, rows: Flags) -> Learned:
    """Learns from the given rows of a table."""
    known = np.flatnonzero(rows & table.raw & (table.relevant >= 0))

    # Signals weigh as much as all others together, and each reason as much as it is frequent.
    relevant = table.relevant[known]
    weights = table.sure[known]
    weights = weights * (weights.sum() / 2 / np.bincount(relevant, weights, minlength=2))[relevant]

    def relevance(matrix: sparse.csr_matrix) -> Linear:
        return _fit(matrix, table.verdict[known], weights, VERDICTS, 0.0, 8.0)

    # What is no signal has its reason for a theme, so that words of those posts speak for none.
    themes = len(table.themes)
    labels = np.where(table.theme >= 0, table.theme, np.where(table.verdict > 0, themes + table.verdict, -1))
    labelled = np.flatnonzero(rows & (labels >= 0))
    second = [(n, theme) for n in labelled.tolist() for theme in table.also[n]]
    at = np.concatenate([labelled, np.array([n for n, _ in second], dtype=np.int64)])
    labels = np.concatenate([labels[labelled], np.array([theme for _, theme in second], dtype=np.int64)])
    counted = np.concatenate([np.ones(len(labelled)), np.full(len(second), _ALSO_WEIGHT)])
    every = _fit(table.matrix[at], labels, counted, (*table.themes, *VERDICTS), 0.7, 10.0)
    theme = Linear(table.themes, every.weight[:, :themes], every.bias[:themes])

    asked = np.flatnonzero(rows & (table.ask >= 0))
    ask = _fit(table.matrix[asked], table.ask[asked], np.ones(len(asked)), table.asks, 0.7, 10.0)
    return Learned(relevance(table.matrix[known]), relevance(table.nameless[known]), theme, ask)


class Scores(NamedTuple):
    """Scores of raw posts by models that did not see them: relevance (n), themes and asks (n × classes).

    `nameless` is relevance where the community is not told.
    """

    relevance: Floats
    nameless: Floats
    theme: Floats
    ask: Floats


def cross_fit(table: Table, fold: Numbers, kept: Callable[[int], Flags] | None = None) -> Scores:
    """Each post's scores by a model of all other folds; `kept` may thin out what a fold's model learns from."""
    count = len(fold)
    found = Scores(
        np.zeros(count), np.zeros(count), np.zeros((count, len(table.themes))), np.zeros((count, len(table.asks)))
    )
    of_row = np.where(table.of >= 0, fold[np.maximum(table.of, 0)], -1)
    for number in np.unique(fold).tolist():
        rows = of_row != number
        learned = fit(table, rows & kept(number) if kept else rows)
        out = np.flatnonzero(fold == number)
        matrix = table.matrix[out]
        found.relevance[out] = learned.relevance.against_the_rest(matrix)
        found.nameless[out] = learned.nameless.against_the_rest(table.nameless[out])
        found.theme[out] = learned.theme.scores(matrix)
        found.ask[out] = learned.ask.scores(matrix)
    return found


def calibrate_logistic(scores: Floats, labels: Numbers) -> Calibration:
    """Platt's scaling."""
    if len(set(labels.tolist())) < 2:
        raise TrainingError("of the posts left for calibration all are signals, or none is")
    model = LogisticRegression(C=1e6).fit(scores.reshape(-1, 1), labels)
    return Calibration(float(model.coef_[0, 0]), np.array([float(model.intercept_[0])]))


def calibrate_softmax(scores: Floats, labels: Numbers) -> Calibration:
    """One slope and a shift a class, by maximum likelihood with a light pull of the shifts to the mean."""
    count = scores.shape[1]

    def loss(parameters: Floats) -> tuple[float, Floats]:
        slope, shift = parameters[0], parameters[1:]
        logits = slope * scores + shift
        norm = logsumexp(logits, axis=1)
        error = np.exp(logits - norm[:, None])
        error[np.arange(len(labels)), labels] -= 1
        value = (norm - logits[np.arange(len(labels)), labels]).sum() + 0.5 * (shift**2).sum()
        return value, np.concatenate([[(error * scores).sum()], error.sum(axis=0) + shift])

    if not len(labels):
        return Calibration(1.0, np.zeros(count))
    found = minimize(loss, np.concatenate([[1.0], np.zeros(count)]), jac=True, method="L-BFGS-B")
    return Calibration(float(found.x[0]), found.x[1:])


class Probabilities(NamedTuple):
    """Calibrated probabilities of raw posts, each by a calibration of the other folds."""

    relevance: Floats
    nameless: Floats
    themes: Floats
    asks: Floats


def cross_calibrate(table: Table, scores: Scores, fold: Numbers) -> Probabilities:
    count = len(fold)
    found = Probabilities(np.zeros(count), np.zeros(count), np.zeros_like(scores.theme), np.zeros_like(scores.ask))
    for number in np.unique(fold).tolist():
        out, rest = fold == number, fold != number
        calibrations = calibrations_of(table, scores, rest)
        found.relevance[out] = calibrations.relevance.logistic(scores.relevance[out])
        found.nameless[out] = calibrations.nameless.logistic(scores.nameless[out])
        found.themes[out] = calibrations.theme.softmax(scores.theme[out])
        found.asks[out] = calibrations.ask.softmax(scores.ask[out])
    return found


class Calibrations(NamedTuple):
    """One for each of the models of `Learned`."""

    relevance: Calibration
    nameless: Calibration
    theme: Calibration
    ask: Calibration


def calibrations_of(table: Table, scores: Scores, posts: Flags) -> Calibrations:
    count = len(scores.relevance)
    relevant, theme, ask = table.relevant[:count], table.theme[:count], table.ask[:count]
    told, themed, asked = posts & (relevant >= 0), posts & (theme >= 0), posts & (ask >= 0)
    return Calibrations(
        calibrate_logistic(scores.relevance[told], relevant[told]),
        calibrate_logistic(scores.nameless[told], relevant[told]),
        calibrate_softmax(scores.theme[themed], theme[themed]),
        calibrate_softmax(scores.ask[asked], ask[asked]),
    )


def priors_of(themes: Floats, labels: Numbers) -> Floats:
    """How much rare themes are favoured in the choice: a power of their frequency, one for all, by macro-F1."""
    frequency = (np.bincount(labels, minlength=themes.shape[1]) + 1) / (len(labels) + themes.shape[1])

    def quality(power: float) -> float:
        chosen = tag.choose(themes, frequency**-power)
        return float(f1_score(labels, chosen, average="macro", zero_division=0))

    best = max(np.arange(0, 0.85, 0.05).round(2).tolist(), key=quality)
    return np.asarray(frequency**-best, dtype=np.float64)


def cross_priors(table: Table, probabilities: Probabilities, fold: Numbers) -> Floats:
    """The priors for each post, chosen on the other folds."""
    theme = table.theme[: len(fold)]
    found = np.ones_like(probabilities.themes)
    for number in np.unique(fold).tolist():
        rest = (fold != number) & (theme >= 0)
        found[fold == number] = priors_of(probabilities.themes[rest], theme[rest])
    return found


def operating_point(probabilities: Floats, labels: Numbers) -> float:
    """The probability that `RECALL` of the signals reach, rounded down."""
    return float(np.floor(np.quantile(probabilities[labels == 1], 1 - RECALL) * 1000) / 1000)


@dataclass(frozen=True)
class Trained:
    """A model and the cross-fitted scores that say how good it is."""

    model: Model
    raw: list[Example]
    table: Table
    fold: Numbers
    groups: Numbers
    scores: Scores
    probabilities: Probabilities
    priors: Floats


def train(posts: Sequence[Post], texts: Mapping[str, tuple[str, str]], vocabulary: Vocabulary) -> Trained:
    """Learns a model. Raises TrainingError where there is too little to learn from."""
    found = examples(posts, texts)
    raw = [example for example in found if example.of is None]
    verdicts = {example.post.verdict for example in raw}
    if not {"signal", "not_a_signal"} <= verdicts:
        raise TrainingError(
            f"{len(raw):,} read posts have their text at hand, and they are not both signals and others; put the named "
            "archives beside the project, or give a store"
        )
    columns = features.learn([example.text for example in raw])
    table = tabulate(found, columns, vocabulary)
    grouped = groups(raw)
    fold = folds(raw, grouped)
    scores = cross_fit(table, fold)
    probabilities = cross_calibrate(table, scores, fold)
    everything = np.ones(len(raw), dtype=bool)
    calibrations = calibrations_of(table, scores, everything)
    learned = fit(table, np.ones(len(found), dtype=bool))
    themed = table.theme[: len(raw)] >= 0
    model = Model(
        features=columns,
        **learned._asdict(),
        **{f"{name}_calibration": calibration for name, calibration in calibrations._asdict().items()},
        priors=priors_of(probabilities.themes[themed], table.theme[: len(raw)][themed]),
        phases={slug: entry.phase for slug, entry in vocabulary.themes.items()},
        thresholds=Thresholds(
            operating_point(probabilities.relevance, table.relevant[: len(raw)]), SECOND_THEME, UNSURE
        ),
        version=_version(found),
    )
    return Trained(model, raw, table, fold, grouped, scores, probabilities, cross_priors(table, probabilities, fold))


def _version(found: Iterable[Example]) -> str:
    """A short name of what was learned from: it changes with any text or label."""
    digest = hashlib.blake2b(digest_size=4)
    for example in found:
        post: Any = example.post
        labels = (post.url, post.verdict, post.why, post.theme, post.also, post.ask, post.sure, example.of is None)
        digest.update(repr((labels, example.text)).encode("utf-8", "replace"))
    return digest.hexdigest()
