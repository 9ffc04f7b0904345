"""Reads an archive as a stream of rows: JSON lines or one JSON document, plain or compressed.

What is not JSON becomes a row with an error, and reading goes on. Only a file that cannot be opened or unpacked
is a fault."""

import bz2
import gzip
import json
import lzma
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import ijson
import zstandard
from ijson.common import ObjectBuilder

from flywheel.faults import Fault, FaultsError

LONGEST = 64 * 2**20  # bytes of a line, or of an element of a document; a longer line is set aside
STEP = 2**16  # bytes of one read: what a stream cut short gives before it fails is not lost
PEEK = 2**20  # bytes looked at to tell lines from a document
# Arrays at the top of a document that hold its items; anything else there is its head.
STREAMED = frozenset(("messages", "items", "hits", "discussions", "posts", "latest_posts"))


@dataclass(frozen=True, slots=True)
class Row:
    """One JSON value of a file. `line` is the line, or in a document the number of the item, from 1. `head` is
    what stood before the items of a document."""

    file: str
    line: int
    value: Any = None
    error: str = ""  # why there is no value
    head: Mapping[str, Any] = field(default_factory=dict)


class Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class _Zstandard:
    """The library's own stream reader ends a cut-off file without a word; this one raises EOFError."""

    def __init__(self, file: Readable) -> None:
        self._file, self._ready, self._frame, self._begun = file, b"", self._new(), False

    def _new(self) -> "zstandard.ZstdDecompressionObj":
        # Public dumps are packed with a window of 2 GB (--long=31), often in several frames.
        return zstandard.ZstdDecompressor(max_window_size=2**31).decompressobj()

    def read(self, size: int, /) -> bytes:
        while not self._ready:
            packed = self._frame.unused_data if self._frame.eof else b""
            if self._frame.eof:
                self._frame, self._begun = self._new(), False
            packed = packed or self._file.read(16384)
            if not packed:
                if self._begun:
                    raise EOFError("a frame that does not end")
                return b""
            self._ready, self._begun = self._frame.decompress(packed), True
        part, self._ready = self._ready[:size], self._ready[size:]
        return part


_PACKINGS: tuple[tuple[bytes, Callable[[BinaryIO], Readable]], ...] = (
    (b"\x1f\x8b", lambda file: gzip.GzipFile(fileobj=file)),
    (b"\x28\xb5\x2f\xfd", _Zstandard),
    (b"BZh", bz2.BZ2File),
    (b"\xfd7zXZ\x00", lzma.LZMAFile),
)
_UNPACK_FIRST = {b"PK\x03\x04": "a zip archive", b"PAR1": "a Parquet file", b"SQLite format 3": "an SQLite file"}
_BROKEN_PACKING = (EOFError, OSError, zlib.error, lzma.LZMAError, zstandard.ZstdError)


def files_of(path: Path) -> list[Path]:
    """The file itself, or all files under a folder, in order."""
    if path.is_dir():
        return sorted(p for p in path.rglob("*") if p.is_file() and not p.name.startswith((".", "README")))
    return [path]


def rows(path: Path) -> Iterator[Row]:
    """The rows of one file. Raises FaultsError, naming file and line, where it cannot be read to its end; rows
    before that have been given out."""
    at = 0
    try:
        with path.open("rb") as file:
            start = file.read(16)
            for magic, what in _UNPACK_FIRST.items():
                if start.startswith(magic):
                    raise FaultsError([Fault(path.name, None, None, f"is {what}; unpack it to JSON lines first")])
            file.seek(0)
            unpack = next((unpack for magic, unpack in _PACKINGS if start.startswith(magic)), None)
            unpacked = unpack(file) if unpack else file
            peeked = _read(unpacked, PEEK)
            stream = _Joined(peeked, unpacked)
            for row in _document(path.name, stream) if is_document(peeked) else _lines(path.name, stream):
                at = row.line
                yield row
    except _BROKEN_PACKING as error:
        text = f"ends in the middle or cannot be read ({type(error).__name__}: {error}); what came before is imported"
        raise FaultsError([Fault(path.name, at + 1, None, text)]) from None


def _read(stream: Readable, size: int) -> bytes:
    """Up to `size` bytes: a compressed stream may give fewer than it has, and one cut short raises again later."""
    parts, got = [], 0
    try:
        while got < size and (part := stream.read(min(STEP, size - got))):
            parts.append(part)
            got += len(part)
    except _BROKEN_PACKING:
        if not parts:
            raise
    return b"".join(parts)


class _Joined:
    """What was peeked at and the rest of it, as one stream."""

    def __init__(self, first: bytes, rest: Readable) -> None:
        self._first, self._rest = first, rest

    def read(self, size: int, /) -> bytes:
        if self._first:
            part, self._first = self._first[:size], self._first[size:]
            return part
        return self._rest.read(size)


def is_document(start: bytes) -> bool:
    """Whether a file that begins so is one JSON value rather than one a line.

    It is where its first line is all there is, or is not whole: then an array is, and an object whose next line
    goes on with a field or ends it."""
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n")
    first, _, rest = text.partition(b"\n")
    second = rest.lstrip()
    if not text.startswith((b"{", b"[")) or (second and _is_whole(first)):
        return False
    return not second or text.startswith(b"[") or first.strip() == b"{" or second[:1] in b'"}]'


def _is_whole(line: bytes) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def _lines(name: str, stream: "_Joined") -> Iterator[Row]:
    number, kept, dropped = 0, b"", 0
    while True:
        chunk = stream.read(STEP)
        pieces = (kept + chunk).split(b"\n")
        kept = pieces.pop() if chunk else b""
        for piece in pieces:
            number += 1
            if dropped:
                yield Row(name, number, error=f"a line of over {LONGEST // 2**20} MB")
                dropped = 0
            elif piece.strip():
                yield _parsed(name, number, piece)
        if len(kept) > LONGEST or dropped:
            kept, dropped = b"", dropped + len(kept)
        if not chunk:
            return


def _parsed(name: str, number: int, line: bytes) -> Row:
    try:
        text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        return Row(name, number, json.loads(text, parse_constant=_no_number))
    except json.JSONDecodeError as error:
        return Row(name, number, error=f"not JSON: {error.msg} (column {error.colno})")
    except UnicodeDecodeError as error:
        return Row(name, number, error=f"not UTF-8 (byte {error.start + 1})")
    except (ValueError, RecursionError) as error:
        return Row(name, number, error=f"not JSON: {type(error).__name__}")


def _no_number(word: str) -> None:
    raise json.JSONDecodeError(f"{word} is no number of JSON", word, 0)


Events = Iterator[tuple[str, Any]]


def _document(name: str, stream: "_Joined") -> Iterator[Row]:
    """An array gives its elements, an object the elements of its one array of items, or itself."""
    number, head, streamed = 0, dict[str, Any](), False
    try:
        events: Events = ijson.basic_parse(stream, use_float=True)
        event, value = next(events)
        if event == "start_array":
            for one in _elements(events):
                number += 1
                yield Row(name, number, one)
        elif event == "start_map":
            for key_event, key in events:
                if key_event == "end_map":
                    break
                event, value = next(events)
                if event == "start_array" and key in STREAMED:
                    streamed = True
                    for one in _elements(events):
                        number += 1
                        yield Row(name, number, one, head=head)
                else:
                    head[key] = _value(event, value, events)
            if not streamed:
                number += 1
                yield Row(name, number, head)
        else:
            yield Row(name, 1, value)
        for _ in events:
            pass
    except ijson.JSONError as error:
        yield Row(name, number + 1, error=f"not JSON after {number} items: {str(error).splitlines()[0][:100]}")
    except (StopIteration, RecursionError, UnicodeDecodeError, ValueError) as error:
        yield Row(name, number + 1, error=f"not JSON after {number} items: {type(error).__name__}")


def _elements(events: Events) -> Iterator[Any]:
    for event, value in events:
        if event == "end_array":
            return
        yield _value(event, value, events)


def _value(event: str, value: Any, events: Events) -> Any:
    """The whole value that begins with this event."""
    builder, depth = ObjectBuilder(), 0
    for now, given in chain(((event, value),), events):
        builder.event(now, given)
        depth += (now in ("start_map", "start_array")) - (now in ("end_map", "end_array"))
        if depth == 0:
            break
    return builder.value
