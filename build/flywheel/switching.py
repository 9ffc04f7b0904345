"""What readers' switching adds to a share: how far it would move if the same posts were read once more.

Two blind readings of a post are taken as two draws of what readers say of it. With weight w, numerator y and
denominator d of each reading and the published share p, a reading gives e = y - p d, and half the mean squared
difference of e between the two readings is the *simple response variance* of a post (half the gross difference rate
where e is 0 or 1; Hansen, Hurwitz and Pritzker, *Bulletin of the International Statistical Institute* 40(2), 1964;
Särndal, Swensson and Wretman, *Model Assisted Survey Sampling*, 16.7). Scaled from the posts read twice to all posts
read:

    variance = sum over all of w^2 * sum over twice-read of w^2 (e1 - e2)^2 / 2 / sum over twice-read of w^2 / D^2

Posts that are no signal count too: a second reader may take one for a signal. What it does not hold: an error that all
readers of one kind share, which no second reading of that kind shows; and a habit of one reader over many posts.

The interval `process` holds this part already where readers err independently: a switched label leaves its residual as
any other chance does. Added on top it errs on the wide side (`docs/statistics.md` gives the coverage of both). The
interval `archive` does not hold it: reading every post of an archive leaves no chance in which posts were drawn, and
all of it in how they were read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from flywheel.data import Coding
from flywheel.estimate import FRAMES_OF, Bools, Estimate, Floats, Measure, ReaderPart, Rows
from flywheel.signal import Post
from flywheel.vocabulary import Vocabulary

LABELS, ASKS = (1, 2), (4, 5)
"""The two blind readings of signal and theme, and the two of the second question."""


@dataclass(frozen=True)
class Readings:
    """The posts of one place that were read twice: row i of `first` and of `second` is one post, as each reader has it.

    A post that a reader takes for no signal, or cannot tell, stands there without theme and phase. `asks` are the same
    for the second question; `asked` is the part (0 to 1) that the posts which answer it have in the squared weights of
    all posts of the place.
    """

    first: Rows
    second: Rows
    asks: tuple[Rows, Rows]
    asked: float

    def __len__(self) -> int:
        return len(self.first)


def readings(posts: Iterable[Post], codings: Iterable[Coding], vocabulary: Vocabulary) -> dict[str, Readings]:
    """The twice-read posts of every place, by place. A place where nobody read twice is not in it.

    `posts` are all that were read, signals or not; `codings` every reading.
    """
    by_post: dict[str, dict[int, Coding]] = {}
    for coding in codings:
        by_post.setdefault(coding.id, {})[coding.reading] = coding
    here = _by_place(posts, vocabulary)
    found: dict[str, Readings] = {}
    for place, read in here.items():
        twice = [post for post in read if set(LABELS) <= by_post.get(post.id, {}).keys()]
        asked = [post for post in read if set(ASKS) <= by_post.get(post.id, {}).keys()]
        if twice:
            first, second = (
                Rows.of([_as_read(post, by_post[post.id][reading], vocabulary) for post in twice]) for reading in LABELS
            )
            fourth, fifth = (
                Rows.of([replace(post, ask=by_post[post.id][reading].ask) for post in asked]) for reading in ASKS
            )
            part = sum(post.weight**2 for post in read if post.ask) / sum(post.weight**2 for post in read)
            found[place] = Readings(first, second, (fourth, fifth), part)
    return found


def squares(posts: Iterable[Post], vocabulary: Vocabulary) -> dict[str, float]:
    """The sum of squared weights of all posts read, signals or not, by place. Pass the posts of a window for a share of
    that window; the rate of switching is that of the place."""
    return {place: float(sum(post.weight**2 for post in read)) for place, read in _by_place(posts, vocabulary).items()}


def reader_variance(
    measure: Measure, subject: str, share: float, denominator: float, twice: Readings, squares: float
) -> float:
    """Variance that readers' switching adds to one share of one place (on the scale of 0 to 1, squared).

    `share` and `denominator` are the published ones (`Estimate.share`, `Estimate.denominator`), `twice` is
    `readings(...)[place]` and `squares` is `squares(...)[place]`. Where a place is not in `readings`, it is unknown.
    A mean over k places adds the variances of its places and divides by k squared.
    """
    first, second = twice.first, twice.second
    weight = first.weight
    if measure.name == "ask":
        # Readings 1 and 2 do not tell the ask of a post that enters or leaves; it may be any, in the shares published.
        entered = _rate(weight, _among(measure, first) - _among(measure, second)) * share * (1 - share)
        weight, (first, second) = twice.asks[0].weight, twice.asks
        answered = _rate(weight, _residual(measure, subject, share, first) - _residual(measure, subject, share, second))
        rate = entered + answered * twice.asked
    else:
        rate = _rate(weight, _residual(measure, subject, share, first) - _residual(measure, subject, share, second))
    return squares * rate / denominator**2


def part_of(posts: Sequence[Post], codings: Iterable[Coding], vocabulary: Vocabulary) -> ReaderPart:
    """What `estimate.estimates` asks for: the readers' part of one row of all years, null where nobody read twice."""
    twice, squared = readings(posts, codings, vocabulary), squares(posts, vocabulary)

    def part(measure: Measure, row: Estimate) -> float | None:
        if row.by != "place" or row.value not in twice or row.share is None:
            return None
        return reader_variance(measure, row.subject, row.share, row.denominator, twice[row.value], squared[row.value])

    return part


def _by_place(posts: Iterable[Post], vocabulary: Vocabulary) -> Mapping[str, Sequence[Post]]:
    found: dict[str, list[Post]] = {}
    for post in posts:
        if post.place and post.frame in FRAMES_OF[vocabulary.places[post.place].frame]:
            found.setdefault(post.place, []).append(post)
    return found


def _as_read(post: Post, coding: Coding, vocabulary: Vocabulary) -> Post:
    theme = coding.theme if coding.pain else None
    return replace(post, theme=theme, phase=vocabulary.phase_of(theme))


def _among(measure: Measure, rows: Rows) -> Floats:
    among: Bools = measure.among(rows) & ~rows["theme"].is_("")
    return among.astype(np.float64)


def _residual(measure: Measure, subject: str, share: float, rows: Rows) -> Floats:
    residual: Floats = _among(measure, rows) * (measure.hits[subject](rows) - share)
    return residual


def _rate(weight: Floats, difference: Floats) -> float:
    return float((weight**2 * difference**2).sum() / (weight**2).sum() / 2) if len(weight) else 0.0
