"""The gold sample: which posts are read next, the sheet they are read on, and the readings that come back.

A sheet holds the post and blank columns, nothing of how the post was found and nothing that a machine or an earlier
reader said of it. Its texts are private: it is never written into data/.
"""

from __future__ import annotations

import csv
import json
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from flywheel.clean import safe
from flywheel.data import Coding, CodingRow, Data
from flywheel.faults import Fault, FaultsError, shown
from flywheel.signal import Post, signal_id
from flywheel.vocabulary import Vocabulary

FIRST_ADDED = 6
"""The number of the first reading that comes from a sheet; 1 to 5 are those that the data came with."""

SHOWN = ("url", "seen", "title", "text")
BLANK = ("pain", "theme", "also", "why", "ask", "run", "sure", "coder")
COLUMNS = (*SHOWN, *BLANK)

PAIN = {"yes": True, "no": False, "cannot tell": None, True: True, False: False}
RUN = {"yes": True, "no": False, True: True, False: False}

READ_TO = 2000
"""Characters of a post that a reader sees; the shipped readings saw as many."""


class Candidate(NamedTuple):
    """A post that may be drawn. `stratum` is its archive, or its source where it belongs to none."""

    url: str
    stratum: str
    seen: str
    title: str
    text: str


def draw(candidates: Iterable[Candidate], count: int, seed: int) -> list[Candidate]:
    """`count` posts at random, each stratum in proportion to its size, in random order; all where there are fewer.

    The same candidates in any order and the same seed give the same draw. Parts of a post go to the strata with the
    largest remainders.
    """
    strata: dict[str, list[Candidate]] = {}
    for candidate in sorted(set(candidates)):
        strata.setdefault(candidate.stratum, []).append(candidate)
    total = sum(map(len, strata.values()))
    count = min(count, total)
    exact = {name: count * len(members) / total for name, members in strata.items()} if total else {}
    sizes = {name: int(part) for name, part in exact.items()}
    by_remainder = sorted(exact, key=lambda name: (sizes[name] - exact[name], name))
    for name in by_remainder[: count - sum(sizes.values())]:
        sizes[name] += 1
    chance = random.Random(seed)  # noqa: S311 - a draw that anyone can repeat, not a secret
    drawn = [post for name in sorted(strata) for post in chance.sample(strata[name], sizes[name])]
    chance.shuffle(drawn)
    return drawn


def sheet_rows(drawn: Iterable[Candidate]) -> Iterator[dict[str, Any]]:
    """The rows of a sheet: what a reader sees, cleaned of secrets, and blank columns."""
    for post in drawn:
        yield {
            "url": post.url,
            "seen": post.seen,
            "title": safe(post.title),
            "text": safe(post.text)[:READ_TO],
            **dict.fromkeys(BLANK),
        }


def write_sheet(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Writes a new sheet, CSV or JSONL by its name, that its owner alone can read. Raises FileExistsError where one is
    already: it may hold somebody's work."""
    with path.open("x", encoding="utf-8-sig" if path.suffix == ".csv" else "utf-8", newline="") as file:
        path.chmod(0o600)
        if path.suffix == ".csv":
            writer = csv.DictWriter(file, COLUMNS, quoting=csv.QUOTE_ALL)
            writer.writeheader()
            writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
        else:
            file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _cell(value: str | None) -> str:
    """Text as a cell: on one line, so that a row of the sheet is a line of the file, and never a formula."""
    text = " ¶ ".join(line.strip() for line in (value or "").splitlines() if line.strip())
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text


def read_sheet(path: Path, found: Data, reader: str) -> tuple[list[dict[str, Any]], int]:
    """The readings of a filled-in sheet as lines of `data/codings.jsonl`, and the number of rows not filled in yet.

    `reader` says what kind of reader it was. Raises FaultsError with every fault: file, line (of a CSV: row) and field.
    """
    words = found.vocabulary
    known = {post.url for post in (*found.posts, *found.unread)}
    last = Counter({coding.id: coding.reading for coding in found.codings})
    before = {(coding.id, coding.coder): coding.reading for coding in found.codings}
    faults: list[Fault] = []
    lines: list[dict[str, Any]] = []
    blank = 0
    here: dict[tuple[str, str], int] = {}
    for number, row in _rows(path, faults):
        filled = {name: value for name in BLANK if (value := row.get(name)) not in (None, "", [])}
        if not filled.keys() - {"coder"}:
            blank += 1
            continue
        url, coder = str(row.get("url") or ""), str(row.get("coder") or "").strip()
        wrong = [*_wrong(row, filled, words)]
        if url not in known:
            wrong.append(("url", f"no post of signals/ or derived/ has the url {shown(url)}"))
        elif (key := (signal_id(url), coder)) in before:
            wrong.append(("coder", f"{coder} has read this post already, as reading {before[key]}"))
        elif (line := here.setdefault(key, number)) != number:
            wrong.append(("url", f"stands in line {line} too"))
        faults += [Fault(str(path), number, name, message) for name, message in wrong]
        if wrong:
            continue
        reading = max(last[signal_id(url)], FIRST_ADDED - 1) + 1
        content = {"url": url, "reading": reading, "reader": reader, "coder": coder, **_labels(filled)}
        try:
            CodingRow.model_validate(content, context=words)
        except ValidationError as error:
            faults += [Fault.of(str(path), number, problem) for problem in error.errors(include_url=False)]
            continue
        last[signal_id(url)] = reading
        lines.append(content)
    if faults:
        raise FaultsError(sorted(faults, key=lambda fault: fault.line or 0))
    return lines, blank


def _rows(path: Path, faults: list[Fault]) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        faults.append(Fault(str(path), None, None, f"not UTF-8 at byte {error.start}; save the sheet as UTF-8"))
        return
    rows: Iterable[tuple[int, Any]]
    if path.suffix == ".csv":
        csv.field_size_limit(1_000_000)
        reader = csv.DictReader(text.splitlines(keepends=True), strict=True)
        if missing := set(COLUMNS) - {"seen", "title", "text"} - set(reader.fieldnames or ()):
            faults.append(Fault(str(path), 1, None, f"lacks the columns {', '.join(sorted(missing))}"))
            return
        rows = enumerate(_records(path, reader, faults), 2)
    else:
        rows = _objects(path, text, faults)
    for number, row in rows:
        if unknown := [name for name in row if name not in COLUMNS]:
            faults.append(Fault(str(path), number, str(unknown[0] or "beyond the last column"), "is not a column here"))
        else:
            yield number, row


def _records(path: Path, reader: csv.DictReader[str], faults: list[Fault]) -> Iterator[dict[str, Any]]:
    try:
        yield from reader
    except csv.Error as error:
        faults.append(Fault(str(path), reader.line_num, None, f"not CSV: {error}"))


def _objects(path: Path, text: str, faults: list[Fault]) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (json.JSONDecodeError, RecursionError) as error:
            faults.append(Fault(str(path), number, None, f"not JSON: {error}"))
            continue
        if isinstance(row, dict):
            yield number, row
        else:
            faults.append(Fault(str(path), number, None, "a line is one JSON object"))


def _word(value: Any) -> Any:
    return value.strip().lower() if isinstance(value, str) else value


def _wrong(row: Mapping[str, Any], filled: Mapping[str, Any], words: Vocabulary) -> Iterator[tuple[str, str]]:
    """What a reading lacks or says in no known word; the rest is for `CodingRow`."""
    for name, known in (("pain", PAIN), ("run", RUN)):
        value = _word(filled.get(name))
        if value is not None and (isinstance(value, list | dict | float) or value not in known):
            listed = ", ".join(word for word in known if isinstance(word, str))
            yield name, f"is one of {listed}, not {shown(filled[name])}"
    if "pain" not in filled:
        yield "pain", "is missing: yes, no or cannot tell"
    for name in ("sure", "coder"):
        if name not in filled:
            yield name, "is missing"
    theme = _word(filled.get("theme"))
    after = isinstance(theme, str) and words.phase_of(theme if theme in words.themes else None) in (
        "evaluate",
        "iterate",
    )
    if after != ("ask" in filled):
        yield "ask", "is missing" if after else "only a signal of Evaluate or Iterate answers the second question"
    if "run" in filled and not after:
        yield "run", "only a signal of Evaluate or Iterate answers it"


def _labels(filled: Mapping[str, Any]) -> dict[str, Any]:
    also = filled.get("also", [])
    if isinstance(also, str):
        also = [part for part in (_word(part) for part in also.replace(",", ";").split(";")) if part]
    labels = {name: _word(filled.get(name)) for name in ("theme", "why", "ask", "sure")}
    run = {"run": RUN[_word(filled["run"])]} if "run" in filled else {}
    return {"pain": PAIN[_word(filled["pain"])], "also": also, **{k: v for k, v in labels.items() if v}, **run}


def append(path: Path, lines: Iterable[Mapping[str, Any]]) -> None:
    """Adds lines to a file of JSON lines: written beside it, then renamed, so that it is whole at any moment."""
    old = path.read_bytes() if path.exists() else b""
    if old and not old.endswith(b"\n"):
        old += b"\n"
    beside = path.with_name(path.name + ".new")
    try:
        beside.write_bytes(old + "".join(json.dumps(line) + "\n" for line in lines).encode())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def with_added(
    posts: Sequence[Post], unread: Sequence[Post], codings: Iterable[Coding], vocabulary: Vocabulary
) -> tuple[list[Post], list[Post]]:
    """Posts that were read and posts that were not, after the readings that sheets added.

    A post that had been read keeps its label and counts one reading more. One that only the machine had read becomes a
    read post with the label of its last reading, a person's before a language model's. As it was drawn at random from
    what was left of its archive, all read posts of that archive now share its weight: n posts of weights w and m more
    have w n / (n + m) and sum(w) / (n + m).
    """
    added: dict[str, list[Coding]] = {}
    for coding in codings:
        if coding.reading >= FIRST_ADDED:
            added.setdefault(coding.id, []).append(coding)
    if not added:
        return list(posts), list(unread)
    new = [post for post in unread if post.id in added]
    drawn = Counter(post.archive for post in new)
    had = Counter(post.archive for post in posts)
    stood: defaultdict[str | None, float] = defaultdict(float)
    for post in (*posts, *(post for post in unread if not had[post.archive])):
        stood[post.archive] += post.weight

    def weight(post: Post) -> float:
        n, m = had[post.archive], drawn[post.archive]
        return post.weight * n / (n + m) if post.labelled_by != "machine" else stood[post.archive] / (n + m)

    read = [
        replace(post, readings=post.readings + len(added.get(post.id, ())), weight=weight(post))
        if post.archive in drawn or post.id in added
        else post
        for post in posts
    ]
    read += [replace(_labelled(post, added[post.id], vocabulary), weight=weight(post)) for post in new]
    return sorted(read, key=lambda post: post.id), [post for post in unread if post.id not in added]


def _labelled(post: Post, readings: Sequence[Coding], vocabulary: Vocabulary) -> Post:
    says = max(readings, key=lambda coding: (coding.reader == "person", coding.reading))
    verdicts: dict[bool | None, Any] = {True: "signal", False: "not_a_signal", None: "cannot_tell"}
    return replace(
        post,
        verdict=verdicts[says.pain],
        theme=says.theme,
        phase=vocabulary.phase_of(says.theme),
        also=says.also,
        ask=says.ask,
        run=says.run,
        why=says.why,
        sure="high" if says.sure == "high" else "low",
        coder=says.coder,
        labelled_by="coded",
        readings=len(readings),
        confidence=None,
        probabilities=(),
    )
