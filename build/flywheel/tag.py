"""What a trained model says of posts: relevance, themes, phase, the second question `ask`.

Pure functions: texts and a model in, arrays out. A model is linear, so what it says is a sum over words and
`explain` can show the summands. It is kept as arrays and a JSON vocabulary and read without pickle.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.special import expit, logsumexp, softmax

from flywheel import relevance
from flywheel.features import BLOCKS, Features, Text

Floats = npt.NDArray[np.float64]

BATCH = 2_000
MODELS = ("relevance", "nameless", "theme", "ask")
WEIGHTS, VOCABULARY = "weights.npz", "vocabulary.json"


class ModelError(Exception):
    """A model that cannot be used, in one sentence."""


@dataclass(frozen=True)
class Linear:
    """A score for each class: `weight` has one row a column of `Features` and one column a class."""

    classes: tuple[str, ...]
    weight: npt.NDArray[np.float32]
    bias: Floats

    def scores(self, matrix: sparse.csr_matrix) -> Floats:
        return np.asarray(matrix @ self.weight, dtype=np.float64) + self.bias

    def against_the_rest(self, matrix: sparse.csr_matrix) -> Floats:
        """The log odds of the first class against all others together."""
        scores = self.scores(matrix)
        return np.asarray(scores[:, 0] - logsumexp(scores[:, 1:], axis=1), dtype=np.float64)


@dataclass(frozen=True)
class Calibration:
    """Makes scores probabilities: `slope` times the score plus `shift` (one a class), then logistic or softmax."""

    slope: float
    shift: Floats

    def logistic(self, scores: Floats) -> Floats:
        return np.asarray(expit(self.slope * scores + self.shift), dtype=np.float64)

    def softmax(self, scores: Floats) -> Floats:
        return np.asarray(softmax(self.slope * scores + self.shift, axis=1), dtype=np.float64)


@dataclass(frozen=True)
class Thresholds:
    """Where a probability becomes a statement; each chosen on cross-fitted scores and said in docs/tagging.md.

    `signal`: from here on a post is one. `also`: from here on a theme is among a post's themes. `unsure`: below it
    for the first theme, or so near to `signal`, nothing is said for sure.
    """

    signal: float
    also: float
    unsure: float


@dataclass(frozen=True)
class Model:
    """All that tagging needs. `phases` gives the phase of each theme, `priors` favour rare themes in the choice.

    `nameless` is relevance where the community is not known: one model for both would be worse at each (average
    precision 0.90 and 0.88 in place of 0.91 and 0.89).
    """

    features: Features
    relevance: Linear
    nameless: Linear
    theme: Linear
    ask: Linear
    relevance_calibration: Calibration
    nameless_calibration: Calibration
    theme_calibration: Calibration
    ask_calibration: Calibration
    priors: Floats
    phases: Mapping[str, str]
    thresholds: Thresholds
    version: str


class Tags(NamedTuple):
    """What the model says of n posts, as arrays with one row a post.

    `relevance` (n), `themes` (n × themes, each row adds up to 1), `asks` (n × asks, given that there is one),
    `theme` and `ask` are the numbers of the classes chosen.
    """

    relevance: Floats
    themes: Floats
    asks: Floats
    theme: npt.NDArray[np.int64]
    ask: npt.NDArray[np.int64]


def tag(model: Model, texts: Sequence[Text]) -> Tags:
    """Tags any number of posts, a batch at a time; what is said of a post does not depend on the others."""
    parts = [_tag_batch(model, texts[at : at + BATCH]) for at in range(0, len(texts), BATCH)]
    return Tags(*map(np.concatenate, zip(*(parts or [_tag_batch(model, [])]), strict=True)))


def _tag_batch(model: Model, texts: Sequence[Text]) -> Tags:
    matrix = model.features.matrix(texts).astype(np.float32)
    relevant = np.zeros(len(texts))
    named = np.array([bool(text.community) for text in texts], dtype=bool)
    for which, linear, calibration in (
        (named, model.relevance, model.relevance_calibration),
        (~named, model.nameless, model.nameless_calibration),
    ):
        relevant[which] = calibration.logistic(linear.against_the_rest(matrix[np.flatnonzero(which)]))
    themes = model.theme_calibration.softmax(model.theme.scores(matrix))
    asks = model.ask_calibration.softmax(model.ask.scores(matrix))
    return Tags(
        relevance=np.where(relevance.may_be(texts), relevant, 0.0),
        themes=themes,
        asks=asks,
        theme=choose(themes, model.priors),
        ask=asks.argmax(axis=1),
    )


def choose(themes: Floats, priors: Floats) -> npt.NDArray[np.int64]:
    """The theme that is said: the likeliest after `priors`, which keep a rare theme from never being chosen."""
    return np.asarray((themes * priors).argmax(axis=1), dtype=np.int64)


def choose_phase(
    themes: Floats, priors: Floats, phase_of: Sequence[str], phases: Sequence[str]
) -> npt.NDArray[np.int64]:
    """The phase that is said: the largest sum over its themes, with the same `priors` as the theme."""
    return np.asarray(phase_sums(themes * priors, phase_of, phases).argmax(axis=1), dtype=np.int64)


def phase_sums(themes: Floats, phase_of: Sequence[str], phases: Sequence[str]) -> Floats:
    """The probability of each phase: the sum over its themes."""
    return np.stack([themes[:, [p == phase for p in phase_of]].sum(axis=1) for phase in phases], axis=1)


def rows(model: Model, ids: Sequence[str | int], texts: Sequence[Text]) -> list[dict[str, Any]]:
    """One line of `flywheel classify` a post, in order. A theme stands there for every post: if it is a signal."""
    tags = tag(model, texts)
    names, phases = model.theme.classes, sorted(set(model.phases.values()))
    phase_of = [model.phases[name] for name in names]
    chosen = choose_phase(tags.themes, model.priors, phase_of, phases)
    limits = model.thresholds
    unsure = tags.themes[np.arange(len(ids)), tags.theme] < limits.unsure
    columns = (
        tags.relevance.round(4).tolist(),
        (tags.relevance >= limits.signal).tolist(),
        tags.theme.tolist(),
        chosen.tolist(),
        tags.themes.round(4).tolist(),
        tags.ask.tolist(),
        unsure.tolist(),
    )
    return [
        {
            "id": id_,
            "relevance": relevant,
            "signal": signal,
            "theme": names[theme],
            "phase": phases[phase],
            "themes": dict(zip(names, themes, strict=True)),
            "ask": None if phases[phase] == "train" else model.ask.classes[ask],
            "unsure": doubtful,
        }
        for id_, relevant, signal, theme, phase, themes, ask, doubtful in zip(ids, *columns, strict=True)
    ]


class Reason(NamedTuple):
    """A word, pair, n-gram, community or trait of a post, and how much it spoke for (or against) a class."""

    name: str
    block: str
    weight: float


def explain(model: Model, text: Text, most: int = 12) -> tuple[list[Reason], list[Reason]]:
    """What decided, strongest first: for or against relevance, and for or against the theme chosen.

    Relevance is weighed against the reasons why a post is no signal, each as much as it is likely for this post.
    """
    matrix = model.features.matrix([text]).tocsr()
    names = model.features.column_names()
    blocks = [block for block in BLOCKS for _ in model.features.names[block]]
    blocks += ["shape"] * (len(names) - len(blocks))
    chosen = int(tag(model, [text]).theme[0])

    def reasons(weights: npt.NDArray[np.float32]) -> list[Reason]:
        found = [
            Reason(names[column], blocks[column], float(value * weights[column]))
            for column, value in zip(matrix.indices, matrix.data, strict=True)
        ]
        return sorted(found, key=lambda reason: -abs(reason.weight))[:most]

    theme = model.theme.weight[:, chosen] - model.theme.weight.mean(axis=1)
    linear = model.relevance if text.community else model.nameless
    rest = softmax(linear.scores(matrix)[0, 1:]).astype(np.float32)
    return reasons(linear.weight[:, 0] - linear.weight[:, 1:] @ rest), reasons(theme)


def save(model: Model, folder: Path) -> None:
    """Writes the model as two files, each beside the old one and then renamed."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, Any] = {
        "idf": model.features.idf.astype(np.float32),
        "middle": model.features.middle,
        "scale": model.features.scale,
        "priors": model.priors,
    }
    about: dict[str, Any] = {
        "version": model.version,
        "phases": dict(model.phases),
        "thresholds": vars(model.thresholds),
        "classes": {},
        "columns": {block: list(model.features.names[block]) for block in BLOCKS},
    }
    for name in MODELS:
        linear, calibration = getattr(model, name), getattr(model, f"{name}_calibration")
        arrays[f"{name}_weight"] = linear.weight.astype(np.float16)
        arrays[f"{name}_bias"] = linear.bias
        arrays[f"{name}_calibration"] = np.concatenate([[calibration.slope], np.atleast_1d(calibration.shift)])
        about["classes"][name] = list(linear.classes)
    beside = folder / (WEIGHTS + ".new")
    with beside.open("wb") as file:
        np.savez_compressed(file, **arrays)
    text = folder / (VOCABULARY + ".new")
    text.write_text(json.dumps(about, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")
    beside.replace(folder / WEIGHTS)
    text.replace(folder / VOCABULARY)


def load(folder: Path) -> Model:
    """Reads a model. Raises ModelError where there is none, or its two files do not fit together."""
    try:
        about = json.loads((folder / VOCABULARY).read_text(encoding="utf-8"))
        with np.load(folder / WEIGHTS, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        features = Features(
            {block: tuple(about["columns"][block]) for block in BLOCKS},
            arrays["idf"].astype(np.float64),
            arrays["middle"],
            arrays["scale"],
        )
        parts: dict[str, Any] = {}
        for name in MODELS:
            weight = arrays[f"{name}_weight"].astype(np.float32)
            classes = tuple(about["classes"][name])
            if weight.shape != (features.width, len(classes)):
                raise ValueError(f"{name} has weights for {weight.shape}, not for {features.width, len(classes)}")
            calibration = arrays[f"{name}_calibration"]
            parts[name] = Linear(classes, weight, arrays[f"{name}_bias"])
            parts[f"{name}_calibration"] = Calibration(float(calibration[0]), calibration[1:])
        return Model(
            features=features,
            priors=arrays["priors"],
            phases=about["phases"],
            thresholds=Thresholds(**about["thresholds"]),
            version=about["version"],
            **parts,
        )
    except FileNotFoundError as error:
        raise ModelError(f"no model in {folder} ({error.filename} is missing); make one with: flywheel train") from None
    except (OSError, ValueError, KeyError, TypeError, BadZipFile) as error:
        raise ModelError(f"the model in {folder} cannot be used: {error}") from None
