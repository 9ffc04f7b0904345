"""Reads `data/` into records. The only place where a line of a file meets a rule; whatever passes is clean.

`read(data)` gives posts, codings, duplicates, corrections and tombstones, or raises `FaultsError` with every fault of
every file. Nothing here opens a network connection or writes.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from sys import intern
from typing import Annotated, Any, Literal, NamedTuple, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    model_validator,
)

from flywheel import vocabulary as vocabulary_files
from flywheel.faults import Fault, FaultsError, shown
from flywheel.signal import Frame, Post, Seen, Sure, canonical_url, signal_id
from flywheel.vocabulary import Place, Vocabulary

GIST_WORDS = 30
"""The codebook's limit for a gist; the longest of the shipped ones has 28 words."""

SECOND_THEME = 0.15
"""From this probability on a machine-read post bears a further theme: 1.5 themes a post, as among the read ones, of
which two in three were right (methods: precision 0.67, recall 0.66)."""

_LINE_BYTES = 1_000_000
_ROUNDED = 0.001
"""How far probabilities of four decimals may add up beside 1."""
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def _plain(text: str) -> str:
    """Text that can be shown anywhere: no control or direction mark, no half of a surrogate pair."""
    # Nearly all text is ASCII, and looking at each character of it took a seventh of the time of reading.
    for character in "" if text.isascii() and text.isprintable() else text:
        if character in _BIDI or unicodedata.category(character) in ("Cc", "Cs", "Cn", "Co", "Zl", "Zp"):
            raise ValueError(f"holds the character U+{ord(character):04X}, which is not text")
    if text != text.strip():
        raise ValueError("begins or ends with a blank")
    return text


def _short(text: str) -> str:
    if len(text.split()) > GIST_WORDS:
        raise ValueError(f"has {len(text.split())} words, at most {GIST_WORDS} are allowed")
    return text


def _canonical(url: str) -> str:
    if (right := canonical_url(url)) != url:
        raise ValueError(f"write it as {right}")
    return url


def _day_or_month(text: str) -> str:
    if not re.fullmatch(r"\d{4}-\d{2}(-\d{2})?", text):
        raise ValueError("is neither a day (2025-04-30) nor a month (2025-04)")
    date.fromisoformat(text if len(text) == 10 else f"{text}-01")
    return text


def _known(family: str) -> Callable[[str, ValidationInfo], str]:
    def check(value: str, info: ValidationInfo) -> str:
        if value not in getattr(info.context, family):
            raise ValueError(f"is not among the {family} of the vocabulary")
        return value

    return check


Plain = Annotated[str, Field(min_length=1), AfterValidator(_plain)]
Url = Annotated[str, Field(max_length=2000), AfterValidator(_canonical)]
ThemeSlug = Annotated[str, AfterValidator(_known("themes"))]
AskSlug = Annotated[str, AfterValidator(_known("asks"))]
WhySlug = Annotated[str, AfterValidator(_known("whys"))]
Probability = Annotated[float, Field(ge=0, le=1)]
Thread = Annotated[str, Field(pattern=r"^(https://\S+|rd\.\w+)$")]
Kind = Literal["issue", "pull_request", "discussion", "question", "post", "comment"]
Coder = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,20}$")]
VERSION = re.compile(r"[0-9][0-9A-Za-z.-]{0,39}")
"""What a published version may be called: it stands in addresses, so no slash."""
SEMANTIC = r"^\d+\.\d+\.\d+$"
Version = Annotated[str, Field(pattern=f"^{VERSION.pattern}$")]
Month = Annotated[str, Field(pattern=r"^\d{4}-\d{2}$")]


class Row(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Labels(Row):
    """What a reader may say of a post; the rules of the codebook that hold between its parts."""

    pain: bool | None = None
    theme: ThemeSlug | None = None
    also: Annotated[list[ThemeSlug], Field(max_length=2)] = []
    why: WhySlug | None = None
    ask: AskSlug | None = None
    run: bool | None = None
    sure: Sure | None = None

    @model_validator(mode="after")
    def _fit_together(self) -> Labels:
        if self.pain is not True and (self.theme or self.also):
            raise ValueError("a post that is no signal has no theme")
        if len({self.theme, *self.also}) <= len(self.also):
            raise ValueError("also: repeats a theme")
        if self.why and self.pain is not False:
            raise ValueError("why: stands only where pain is false")
        return self


class CodedRow(Labels):
    """One line of `data/signals/*.jsonl`, as the codebook defines its fields."""

    url: Url
    source: Annotated[str, AfterValidator(_known("sources"))]
    community: Annotated[str, Field(max_length=120), AfterValidator(_plain)]
    kind: Kind
    date: Annotated[str, AfterValidator(_day_or_month)] | None
    date_of: Literal["opening", "turn", "estimated", "unknown"]
    state: Literal["open", "closed", "merged"] | None = None
    pain: bool | None
    gist: Annotated[Plain, Field(max_length=300), AfterValidator(_short)] | None = None
    tool: Annotated[Plain, Field(max_length=80)] | None = None
    model: Annotated[Plain, Field(max_length=80)] | None = None
    frame: Frame
    archive: Annotated[str, AfterValidator(_known("archives"))] | None = Field(default=None, alias="set")
    weight: Annotated[float, Field(gt=0, lt=1e6, allow_inf_nan=False)] | None = None
    thread: Thread | None = None
    author: Annotated[int, Field(ge=0)] | None = None
    n_replies: Annotated[int, Field(ge=0)] | None = None
    seen: Seen = "opening"
    query: Annotated[Plain, Field(max_length=300)] | None = None
    corpus: Literal["public", "platform"] = "public"
    tracker: Literal["vendor", "project"] | None = None
    coder: Coder
    readings: Annotated[int, Field(ge=1, le=99)] = 1
    sure: Sure

    @model_validator(mode="after")
    def _is_whole(self, info: ValidationInfo) -> CodedRow:
        words: Vocabulary = info.context  # type: ignore[assignment]
        source = words.sources[self.source]
        checks = {
            "community: does not look like the name of a " + source.community_is: re.fullmatch(
                source.community, self.community
            ),
            f"url: is not on a host of {self.source}": not source.hosts or self.url.split("/")[2] in source.hosts,
            "gist: is missing, a signal needs one": self.gist or not self.pain,
            "date_of: a date is estimated, of the opening or of a turn; none is unknown": (self.date is None)
            == (self.date_of == "unknown"),
            "date: a month alone is allowed only where it is estimated": self.date is None
            or (len(self.date) == 7) == (self.date_of == "estimated"),
            "set: the population names its archive, its weight and its thread, a search names none": (
                self.frame == "population"
            )
            == (self.archive is not None)
            == (self.weight is not None)
            == (self.thread is not None),
            "query: a row found by search names its query": self.frame == "population" or self.query,
            "tracker: the platform corpus says whose tracker it is, the public one does not": (
                self.corpus == "platform"
            )
            == (self.tracker is not None),
            "ask: only a signal of Evaluate or Iterate answers the second question": (self.ask is not None)
            == (words.phase_of(self.theme) in ("evaluate", "iterate")),
        }
        if wrong := [message for message, holds in checks.items() if not holds]:
            raise ValueError("; ".join(wrong))
        return self


class CodingRow(Labels):
    """One reading of one post: 1 and 2 are blind, 3 settles or checks scope, 4 and 5 put the second question; from 6 on
    `flywheel code` adds them."""

    url: Url
    reader: Literal["language model", "person"] = "language model"
    reading: Annotated[int, Field(ge=1, le=99)]
    coder: Coder
    reason: Annotated[Plain, Field(max_length=300)] | None = None


class CorrectionRow(Labels):
    """One line of `data/corrections.jsonl`: what a reader of the site says a post is. Labels not given stay."""

    url: Url
    reason: Annotated[Plain, Field(max_length=300)]


class DerivedRow(Row):
    """One line of `data/derived/*.jsonl`: a post that only a machine has read, as numbers. No word of it is kept."""

    url: Url
    source: Annotated[str, AfterValidator(_known("sources"))]
    community: Annotated[str, Field(max_length=120), AfterValidator(_plain)]
    kind: Kind
    archive: Annotated[str, AfterValidator(_known("archives"))] | None = Field(alias="set")
    place: Annotated[str, AfterValidator(_known("places"))] | None
    frame: Frame
    weight: Annotated[float, Field(gt=0, lt=1e6, allow_inf_nan=False)] = 1.0
    month: Annotated[str, Field(pattern=r"^\d{4}-\d{2}$")] | None
    thread: Thread | None = None
    author: Annotated[int, Field(ge=0)] | None = None
    corpus: Literal["public", "platform"] = "public"
    tracker: Literal["vendor", "project"] | None = None
    seen: Seen
    relevance: Probability
    signal: bool
    theme: ThemeSlug
    themes: dict[ThemeSlug, Probability]
    ask: AskSlug | None
    unsure: bool
    model: Annotated[str, Field(pattern=r"^[\w.-]{1,40}$")]


class ReportRow(Row):
    """One line of `data/tagger_report.jsonl`: one measured figure of the tagger."""

    task: Literal["relevance", "theme", "phase", "ask"]
    subject: Plain
    measure: Plain
    value: float | None
    low: float | None = None
    high: float | None = None
    support: Annotated[int, Field(ge=0)] | None = None
    seen: Plain
    how: Plain
    predicted: str | None = None
    learned_from: int | None = None


class PredictionRow(Row):
    """One line of `data/predictions.jsonl`: what the tagger says of a read post that it did not learn from.

    `relevance` is the probability that it is a signal; those of the three phases hold if it is one.
    """

    url: Url
    relevance: Probability
    train: Probability
    evaluate: Probability
    iterate: Probability

    @model_validator(mode="after")
    def _adds_up(self) -> PredictionRow:
        if abs(self.train + self.evaluate + self.iterate - 1) > _ROUNDED:
            raise ValueError("the probabilities of the three phases do not add up to 1")
        return self


class DuplicateRow(Row):
    """One copy folded into another; a later line with `undo` takes it back."""

    keep: Url
    drop: Url
    method: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")]
    similarity: Annotated[float, Field(ge=0, le=1)] | None = None
    undo: bool = False


class TombstoneRow(Row):
    """An id that was erased at the source or on request. Wins over every other file."""

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$", min_length=4, max_length=300)]
    month: Annotated[str, Field(pattern=r"^\d{4}-\d{2}$")] | None = None
    reason: Literal["deleted", "removed", "request", "moved"]


class HistoryRow(Row):
    """One line of `data/history.jsonl`: one published share of one published version. Slugs are those of its time."""

    version: Version
    day: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]
    measure: Plain
    subject: Plain
    by: str
    value: str
    window: Plain
    share: Probability
    low: Probability
    high: Probability
    n: Annotated[int, Field(ge=0)]
    n_numerator: Annotated[int, Field(ge=0)]
    threads: Annotated[int, Field(ge=0)]
    clusters: Annotated[int, Field(ge=0)]
    n_places: Annotated[int, Field(ge=0)]
    first_month: Month | None
    last_month: Month | None
    enough: Literal["enough", "about", "few"]
    data_version: Annotated[str, Field(pattern=SEMANTIC)]
    """Version of the data by the rule of `changelog`; the same in every line of one published version."""


class ChangeRow(Row):
    """One line of `data/changes.jsonl`: one thing that a published version changed; `diff.py` says which."""

    version: Version
    kind: Literal["new", "gone", "relabelled", "move", "compared", "place", "source"]
    measure: str
    subject: str
    place: str
    signals: Annotated[int, Field(ge=0)] | None = None
    share_before: Probability | None = None
    share: Probability | None = None
    change: Annotated[float, Field(ge=-1, le=1)] | None = None
    low: float | None = None
    high: float | None = None
    verdict: Annotated[str, Field(max_length=40)] | None = None


class Prediction(NamedTuple):
    """What the machine says of a post: the probability that it is a signal, and of each phase if it is one."""

    relevance: float
    train: float
    evaluate: float
    iterate: float


@dataclass(frozen=True, slots=True)
class Coding:
    """One reading of one post: who read it (`coder` is a label, no name) and what they said."""

    id: str
    reading: int
    coder: str
    pain: bool | None
    theme: str | None
    also: tuple[str, ...]
    why: str | None
    ask: str | None
    run: bool | None
    sure: str | None
    reason: str | None
    reader: str = "language model"
    """What kind of reader: a language model, a person, or a visitor of the site who sent a correction."""


@dataclass(frozen=True, slots=True)
class Duplicate:
    """`drop` was folded into `keep`; both are ids."""

    keep: str
    drop: str
    method: str
    similarity: float | None


@dataclass(frozen=True)
class Data:
    """All that a build reads. Posts are in order of id, so the order of lines in a file never matters."""

    vocabulary: Vocabulary
    posts: list[Post]
    derived: list[Post]
    """Posts that only a machine has read and that it takes for signals; none that was read."""

    unread: list[Post]
    """All posts that only a machine has read, those that it takes for no signal too."""

    said: dict[str, Prediction]
    """What the machine says, by url: of unread posts, and of read ones that it did not learn from."""

    codings: list[Coding]
    duplicates: list[Duplicate]
    report: list[ReportRow]
    predictions: list[PredictionRow]
    corrections: list[CorrectionRow]
    history: list[HistoryRow]
    changes: list[ChangeRow]
    tombstones: frozenset[str]
    files: dict[str, int]
    """Each file read, by its path below data/, with its number of records."""


R = TypeVar("R", bound=Row)


def read(data: Path) -> Data:
    """Reads and checks a whole data folder. Raises FaultsError with every fault of every file."""
    words = vocabulary_files.read(data)
    faults: list[Fault] = []
    files: dict[str, int] = {}

    def rows(name: str, model: type[R], optional: bool = True) -> list[tuple[R, int]]:
        path = data / name
        if optional and not path.exists():
            return []
        found = list(_lines(path, model, words, faults))
        files[name] = len(found)
        return found

    paths = sorted(p.relative_to(data).as_posix() for p in (data / "signals").glob("*.jsonl"))
    if not paths:
        faults.append(Fault(str(data / "signals"), None, None, "holds no *.jsonl file"))
    posts = [
        _post(row, words, str(data / name), line)
        for name in paths
        for row, line in rows(name, CodedRow, optional=False)
    ]
    read_urls = {post.url for post in posts}
    unread: list[Post] = []
    signals: set[str] = set()
    said: dict[str, Prediction] = {}
    for path in sorted((data / "derived").glob("*.jsonl")):
        name = path.relative_to(data).as_posix()
        files[name] = 0
        # Row by row: a million of them, kept as they were read, would take 4 GB.
        for row, line in _lines(path, DerivedRow, words, faults):
            files[name] += 1
            if row.url not in read_urls:
                post = _derived(row, words, str(path), line)
                unread.append(post)
                said[post.url] = _said(row, words)
                if row.signal:
                    signals.add(post.id)
    codings = rows("codings.jsonl", CodingRow, optional=False)
    report = rows("tagger_report.jsonl", ReportRow)
    predictions = rows("predictions.jsonl", PredictionRow)
    duplicates = rows("duplicates.jsonl", DuplicateRow)
    corrections = rows("corrections.jsonl", CorrectionRow)
    tombstones = rows("tombstones.jsonl", TombstoneRow)
    history = rows("history.jsonl", HistoryRow)
    changes = rows("changes.jsonl", ChangeRow)
    faults += _clashes([*posts, *unread])
    urls = read_urls | said.keys()
    referring = [
        *((data / "codings.jsonl", "url", line, row.url) for row, line in codings),
        *((data / "corrections.jsonl", "url", line, row.url) for row, line in corrections),
        *((data / "predictions.jsonl", "url", line, row.url) for row, line in predictions),
        *(
            (data / "duplicates.jsonl", name, line, getattr(row, name))
            for row, line in duplicates
            for name in ("keep", "drop")
        ),
    ]
    faults += [
        Fault(str(path), line, name, f"no post of signals/ has the url {shown(url)}")
        for path, name, line, url in referring
        if url not in urls
    ]
    faults += _readings(data / "codings.jsonl", codings)
    faults += _twice(data / "history.jsonl", history, ("version", "measure", "subject", "by", "value", "window"))
    faults += _twice(data / "changes.jsonl", changes, ("version", "kind", "measure", "subject", "place"))
    if faults:
        raise FaultsError(faults)
    unread.sort(key=lambda post: post.id)
    for told, _ in predictions:
        said.setdefault(told.url, Prediction(told.relevance, told.train, told.evaluate, told.iterate))
    return Data(
        vocabulary=words,
        posts=sorted(posts, key=lambda post: post.id),
        derived=[post for post in unread if post.id in signals],
        unread=unread,
        said=said,
        report=[row for row, _ in report],
        predictions=[row for row, _ in predictions],
        codings=sorted((_coding(row) for row, _ in codings), key=lambda coding: (coding.id, coding.reading)),
        duplicates=_standing(row for row, _ in duplicates),
        corrections=[row for row, _ in corrections],
        history=[row for row, _ in history],
        changes=[row for row, _ in changes],
        tombstones=frozenset(row.id for row, _ in tombstones),
        files=files,
    )


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a field stands there twice")
    return found


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON value")


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant)


def _lines(path: Path, model: type[R], words: Vocabulary, faults: list[Fault]) -> Iterator[tuple[R, int]]:
    """Every good line of a JSON-lines file as a row with its line number; every bad one as faults."""
    try:
        lines = path.open("rb")
    except OSError as error:
        faults.append(
            Fault(
                str(path),
                None,
                None,
                "the file is missing" if isinstance(error, FileNotFoundError) else str(error),
            )
        )
        return
    with lines:
        for number, raw in enumerate(lines, 1):
            try:
                if len(raw) > _LINE_BYTES:
                    raise ValueError(f"the line has {len(raw)} bytes, at most {_LINE_BYTES} are allowed")
                content = _DECODER.decode(raw.decode("utf-8"))
                if not isinstance(content, dict):
                    raise ValueError("a line is one JSON object")
                yield model.model_validate(content, context=words), number
            except ValidationError as error:
                faults += [Fault.of(str(path), number, problem) for problem in error.errors(include_url=False)]
            except UnicodeDecodeError as error:
                faults.append(Fault(str(path), number, None, f"not UTF-8 at byte {error.start}"))
            except json.JSONDecodeError as error:
                faults.append(Fault(str(path), number, None, f"not JSON: {error.msg} at character {error.pos}"))
            except (ValueError, RecursionError) as error:
                faults.append(Fault(str(path), number, None, str(error)))


def _post(row: CodedRow, words: Vocabulary, file: str, line: int) -> Post:
    verdict: dict[bool | None, Literal["signal", "not_a_signal", "cannot_tell"]] = {
        True: "signal",
        False: "not_a_signal",
        None: "cannot_tell",
    }
    return Post(
        url=row.url,
        id=signal_id(row.url),
        thread=_thread_id(row.thread or row.url),
        source=row.source,
        community=row.community,
        kind=row.kind,
        frame=row.frame,
        verdict=verdict[row.pain],
        seen=row.seen,
        sure=row.sure,
        coder=row.coder,
        created=row.date if row.date and len(row.date) == 10 else None,
        month=row.date[:7] if row.date else None,
        date_of=row.date_of,
        state=row.state,
        theme=row.theme,
        phase=words.phase_of(row.theme),
        also=tuple(row.also),
        ask=row.ask,
        run=row.run,
        why=row.why,
        gist=row.gist,
        tool=words.tool(row.tool),
        model=words.model(row.model),
        archive=row.archive,
        weight=row.weight or 1.0,
        corpus=row.corpus,
        tracker=row.tracker,
        place=place_of(row, words.places.values()),
        author=row.author,
        n_replies=row.n_replies,
        query=row.query,
        readings=row.readings,
        file=file,
        line=line,
    )


def _derived(row: DerivedRow, words: Vocabulary, file: str, line: int) -> Post:
    theme = None if row.unsure else row.theme
    phase = words.phase_of(theme)
    beside = [(slug, p) for slug, p in row.themes.items() if theme and slug != theme and p >= SECOND_THEME]
    beside.sort(key=lambda item: (-item[1], item[0]))
    confidence = row.themes.get(theme) if theme else None
    id = signal_id(row.url)
    # Words that many rows share are kept once.
    return Post(
        url=row.url,
        id=id,
        thread=id if row.thread in (None, row.url) else _thread_id(row.thread or row.url),
        source=intern(row.source),
        community=intern(row.community),
        kind=row.kind,
        frame=row.frame,
        verdict="signal",
        seen=row.seen,
        sure="low",
        coder=intern(row.model),
        labelled_by="machine",
        month=row.month and intern(row.month),
        date_of="unknown",
        theme=theme and intern(theme),
        phase=phase,
        also=tuple(intern(slug) for slug, _ in beside),
        ask=intern(row.ask) if row.ask and phase in ("evaluate", "iterate") else None,
        archive=row.archive and intern(row.archive),
        weight=row.weight,
        corpus=row.corpus,
        tracker=row.tracker,
        place=row.place and intern(row.place),
        author=row.author,
        readings=0,
        confidence=confidence,
        probabilities=tuple((intern(slug), p) for slug, p in ((theme, confidence), *beside) if slug and p is not None),
        file=file,
        line=line,
    )


def _said(row: DerivedRow, words: Vocabulary) -> Prediction:
    sums = dict.fromkeys(words.phases, 0.0)
    for theme, probability in row.themes.items():
        sums[words.themes[theme].phase] += probability
    total = sum(sums.values()) or 1.0
    return Prediction(row.relevance, *(sums[phase] / total for phase in ("train", "evaluate", "iterate")))


def _thread_id(thread: str) -> str:
    return thread if thread.startswith("rd.") else signal_id(thread)


def place_of(row: CodedRow | DerivedRow, places: Iterable[Place]) -> str | None:
    """The first place whose `match` fits a row; null where none does."""

    def fits(place: Place) -> bool:
        wanted = place.match.model_dump(exclude_defaults=True)
        return bool(wanted) and all(getattr(row, name) in values for name, values in wanted.items())

    return next((place.slug for place in places if fits(place)), None)


def _coding(row: CodingRow) -> Coding:
    return Coding(
        id=signal_id(row.url),
        reading=row.reading,
        coder=row.coder,
        pain=row.pain,
        theme=row.theme,
        also=tuple(row.also),
        why=row.why,
        ask=row.ask,
        run=row.run,
        sure=row.sure,
        reason=row.reason,
        reader=row.reader,
    )


def _clashes(posts: list[Post]) -> Iterator[Fault]:
    """Two rows for one post, or two posts under one id. Either would lose one of them."""
    by_id: dict[str, Post] = {}
    for post in posts:
        if (other := by_id.setdefault(post.id, post)) is post:
            continue
        if other.url == post.url:
            yield Fault(post.file, post.line, "url", f"stands already in {other.file}, line {other.line}")
        else:
            yield Fault(post.file, post.line, "url", f"gets the id {post.id}, which {other.url} has already")


def _readings(path: Path, codings: list[tuple[CodingRow, int]]) -> Iterator[Fault]:
    first: dict[tuple[str, int], int] = {}
    for row, line in codings:
        if (stands := first.setdefault((row.url, row.reading), line)) != line:
            yield Fault(str(path), line, "reading", f"reading {row.reading} of this post stands in line {stands} too")


def _twice(path: Path, rows: Iterable[tuple[Row, int]], key: tuple[str, ...]) -> Iterator[Fault]:
    """Two lines for one figure: only one of them could be found again."""
    first: dict[tuple[Any, ...], int] = {}
    for row, line in rows:
        if (stands := first.setdefault(tuple(getattr(row, name) for name in key), line)) != line:
            yield Fault(str(path), line, None, f"says again what line {stands} says")


def _standing(rows: Iterable[DuplicateRow]) -> list[Duplicate]:
    """The pairs that hold after every undo, in order of the id that is dropped."""
    pairs: dict[tuple[str, str], DuplicateRow] = {}
    for row in rows:
        pairs.pop((row.keep, row.drop), None)
        if not row.undo:
            pairs[row.keep, row.drop] = row
    found = (Duplicate(signal_id(r.keep), signal_id(r.drop), r.method, r.similarity) for r in pairs.values())
    return sorted(found, key=lambda pair: (pair.drop, pair.keep))


def report(found: Data) -> Iterator[str]:
    """What `flywheel check` says of a folder that has no fault: counts, and what a person may want to look at."""
    words = found.vocabulary
    yield from (f"{name}: {count:,} rows" for name, count in sorted(found.files.items()))
    signals = [post for post in found.posts if post.verdict == "signal"]
    themeless = sum(post.theme is None for post in signals)
    yield f"{len(found.posts):,} posts, {len(signals):,} signals, {themeless:,} of them with no theme"
    known = {tool.name for tool in words.tools}
    unknown = Counter(post.tool for post in signals if post.tool and post.tool not in known)
    if unknown:
        listed = ", ".join(f"{name} ({n})" for name, n in sorted(unknown.items(), key=lambda item: (-item[1], item[0])))
        yield f"tools that tools.yml does not know: {listed}"
    for place in words.places.values():
        months = [
            p.month
            for p in signals
            if p.place == place.slug and p.month and (p.frame == place.frame or place.frame == "targeted")
        ]
        named = re.search(r"(\d{4})–(\d{2})$", place.title)
        if months and named and (min(months)[:4], max(months)[2:4]) != named.groups():
            yield f"{place.slug}: its title says {named.group()}, its signals run from {min(months)} to {max(months)}"
