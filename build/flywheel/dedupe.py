"""Copies: which post stands for which.

`find_pairs(items)` finds them in three steps, on text without case, markup and blanks:

1. exact: the whole text is the same.
2. near, contained: word triples, and word pairs for posts of at most 48 words, are hashed (MinHash in bands,
   rensa). Every two posts that share a band are compared exactly: much the same, or one inside the other.
   Triples that at least max(5, 0.2 %) of a community's authors use are left out: they are the template of a
   tracker, not what its posts say.
3. title: what has fewer than 8 triples of its own is a copy only if its title agrees, and the rest does.

A post points at the earliest post that it copies, so what is decided about a post never depends on later ones. In
one repository the same complaint of another author is no copy but one more voice: the pair is a `me-too`, and both
stay.
"""

from __future__ import annotations

import hashlib
import html
import re
import sys
import unicodedata
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import partial
from multiprocessing import get_context
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from rensa import RMinHash
from scipy import sparse

from flywheel.data import Duplicate
from flywheel.signal import Post

Hashes = npt.NDArray[np.uint64]
Numbers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Each = Callable[..., Iterable[Any]]
"""`map`, or the `map` of a pool of processes."""

ME_TOO = "me-too"
"""The method of a pair whose second post is kept: the same complaint by another author in one repository."""


class Rule(NamedTuple):
    """How posts are compared by runs of `size` words: those of `least` to `most` words.

    Copies share `jaccard` of what both say, or `contained` of the smaller where it has `contained_from` runs.
    """

    size: int
    least: int
    most: int
    jaccard: float
    contained: float
    contained_from: int


# Posts of 25 to 48 words are compared both ways: half of a short post is shorter still. Where 60 settings were
# compared on 3,000 issues, Jaccard 0.5 kept 250 complaints in one template apart; docs/tagging.md has the figures.
RULES = (Rule(2, 4, 48, 0.6, 0.8, 10), Rule(3, 25, 10**9, 0.5, 0.8, 16))
MINIMA, SEED = 128, 42
FEW, ROWS_OF_FEW, ROWS_OF_MANY = 200_000, 2, 3
"""Bands have two rows, so that nearly every two posts of Jaccard 0.25 share one of 64; in a large crowd too many
unlike posts would, and three rows find 0.996 of those at 0.5 and half of those at 0.25."""
COMMON_AUTHORS, COMMON_SHARE = 5, 0.002
THIN, TITLE_WORDS, TITLE_JACCARD = 8, 4, 0.8
BUCKET = 50
"""A post is compared with the first 50 of those that share a band: what is later in the order changes nothing."""

_CHUNK = 2_000
_ALONE = 50_000
"""Up to so many posts a second process is not worth its start."""
_PAIRS = 100_000


class Frozen(NamedTuple):
    """What is decided once for a crowd of posts and then stays: the template runs, sorted, and the rows of a band."""

    frequent: Hashes
    rows: int


class Item(NamedTuple):
    """A post as `find_pairs` reads it. `author` and `community` may be empty: then nothing is known of them."""

    id: str
    title: str
    body: str
    community: str = ""
    author: str = ""


class Pair(NamedTuple):
    """`drop` copies `keep`, the earlier one (with the method `me-too` it only repeats it)."""

    keep: str
    drop: str
    method: str
    similarity: float


def fold(posts: Iterable[Post], duplicates: Sequence[Duplicate]) -> Iterator[Post]:
    """Posts without the copies. A chain of pairs ends at the post that nobody drops; a `me-too` drops none."""
    dropped = {pair.drop for pair in duplicates if pair.method != ME_TOO}
    return (post for post in posts if post.id not in dropped)


_TAG = re.compile(r"<!--.*?(?:-->|\Z)|<[^<>]{1,200}>", re.DOTALL)
# For plain ASCII a table of characters does the same as the pattern, in a quarter of the time.
_ASCII = {code: chr(code).lower() if chr(code).isalnum() else " " for code in range(128)}
_NOT_WORD = re.compile(r"[\W_]+")
# Scripts that set no blanks between words: one character is one token.
_CJK = re.compile(r"([\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff])")


def normalise(text: str) -> str:
    """Words in lower case with one blank between them; no entities, tags, comments, marks or line ends.

    NFKC, so that full-width letters and ligatures equal the plain ones. Chinese and Japanese by character.
    """
    if "&" in text:
        text = html.unescape(text)
    if "<" in text:
        text = _TAG.sub(" ", text)
    if text.isascii():
        return " ".join(text.translate(_ASCII).split())
    return _NOT_WORD.sub(" ", _CJK.sub(r" \1 ", unicodedata.normalize("NFKC", text).casefold())).strip()


@dataclass(frozen=True)
class Runs:
    """Hashed runs of words of many posts, one post after the other: post i owns `hash[start[i]:start[i + 1]]`."""

    hash: Hashes
    start: Numbers


@dataclass(frozen=True)
class Texts:
    """What is compared of n posts. `exact` and `title` are hashes of the whole text and of the title.

    `runs` has one entry a rule; a post that is too short or too long for a rule has none there. `bare` says that
    there is a title and nothing else.
    """

    words: Numbers
    exact: Hashes
    title: Hashes
    title_words: Numbers
    bare: Flags
    runs: tuple[Runs, ...]


_MULTIPLIER = 0x9E3779B97F4A7C15
_PLACES = np.array([0xD6E8FEB86659FD93, 0xA0761D6478BD642F, 0xE7037ED1A0B428DB], dtype=np.uint64)


def _mixed(values: Hashes) -> Hashes:
    """splitmix64's finaliser: every bit of the input moves every bit of the output."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _digest(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).digest(), "little")


def _starts(lengths: Numbers) -> Numbers:
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def spans(begin: Numbers, lengths: Numbers) -> Numbers:
    """The numbers begin[i] to begin[i] + lengths[i], one span after the other."""
    return np.repeat(begin - _starts(lengths)[:-1], lengths) + np.arange(lengths.sum())


def _hashed_words(texts: Sequence[str]) -> tuple[Hashes, Numbers]:
    """A hash of every word of normalised texts, and the number of words of each.

    All words at once: a word's hash is a polynomial of its bytes, that is the difference of two prefix sums shifted
    back to position 0. A loop over words in Python takes five times as long.
    """
    joined = np.frombuffer("\n".join(texts).encode("utf-8", "replace") + b"\n", dtype=np.uint8)
    size = len(joined)
    power = np.full(size + 1, _MULTIPLIER, dtype=np.uint64)
    power[0] = 1
    power = np.cumprod(power)
    sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum((joined + np.uint64(1)) * power[:-1])])
    edges = np.diff(np.concatenate([[False], joined > 32, [False]]).astype(np.int8))
    first, last = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    words = np.diff(np.searchsorted(first, np.flatnonzero(joined == 10)), prepend=0)
    back = power[size - first] * np.uint64(pow(_MULTIPLIER, -size, 2**64))
    # No text at all is still one empty line.
    return _mixed((sums[last] - sums[first]) * back), words.astype(np.int64)[: len(texts)]


def read(texts: Sequence[tuple[str, str]]) -> Texts:
    """What is compared of (title, body) pairs. Pure and picklable; 25 µs a post of 60 words."""
    titles = [normalise(title) for title, _ in texts]
    wholes = [f"{title} {normalise(body)}".strip() for title, (_, body) in zip(titles, texts, strict=True)]
    word, words = _hashed_words(wholes)
    begin = _starts(words)[:-1]

    def runs(rule: Rule) -> Runs:
        fits = (words >= rule.least) & (words <= rule.most)
        lengths = np.where(fits, words - rule.size + 1, 0)
        at = spans(begin, lengths)
        value = np.zeros(len(at), dtype=np.uint64)
        for place in range(rule.size):
            value += word[at + place] * _PLACES[place]
        return Runs(_mixed(value + np.uint64(rule.size)), _starts(lengths))

    return Texts(
        words=words,
        exact=np.fromiter(map(_digest, wholes), np.uint64, len(texts)),
        title=np.fromiter(map(_digest, titles), np.uint64, len(texts)),
        title_words=np.fromiter((title.count(" ") + bool(title) for title in titles), np.int64, len(texts)),
        bare=np.fromiter((not body for _, body in texts), bool, len(texts)),
        runs=tuple(map(runs, RULES)),
    )


def joined(parts: Iterable[Texts]) -> Texts:
    """Several `Texts` as one."""
    found = list(parts)

    def runs(of: Sequence[Runs]) -> Runs:
        return Runs(np.concatenate([r.hash for r in of]), _starts(np.concatenate([np.diff(r.start) for r in of])))

    plain = [field.name for field in fields(Texts) if field.name != "runs"]
    return Texts(
        **{name: np.concatenate([getattr(part, name) for part in found]) for name in plain},
        runs=tuple(map(runs, zip(*(part.runs for part in found), strict=True))),
    )


def _numbered(values: Iterable[Hashable]) -> Numbers:
    known: dict[Hashable, int] = {}
    return np.array([known.setdefault(value, len(known)) for value in values], dtype=np.int64)


def freeze(items: Sequence[Item], texts: Texts) -> Frozen:
    """What these posts, the first of a store, decide for all that follow."""
    return Frozen(common(items, texts), ROWS_OF_FEW if len(items) <= FEW else ROWS_OF_MANY)


def common(items: Sequence[Item], texts: Texts) -> Hashes:
    """The runs that are template: at least max(5, 0.2 %) of one community's authors use them. Sorted.

    A post with no author counts as an author; of texts that are the same only the first counts.
    """
    community = _numbered(item.community for item in items)
    who = _numbered((item.community, item.author) if item.author else (n,) for n, item in enumerate(items))
    authors = np.bincount(community[np.unique(who, return_index=True)[1]])
    salt = _mixed(np.arange(1, len(authors) + 1, dtype=np.uint64))
    first = np.zeros(len(items), dtype=bool)
    first[np.unique(texts.exact, return_index=True)[1]] = True
    found = []
    for runs in texts.runs:
        lengths = np.diff(runs.start)
        counted = np.repeat(first, lengths)
        keys = (runs.hash ^ np.repeat(salt[community], lengths))[counted]
        of = np.repeat(np.arange(len(items), dtype=np.int32), lengths)[counted]
        # A run is worth a closer look only if it occurs often enough at all; nearly none does.
        ordered = np.sort(keys)
        again = ordered[COMMON_AUTHORS - 1 :] == ordered[: 1 - COMMON_AUTHORS]
        often = np.unique(ordered[COMMON_AUTHORS - 1 :][again])
        del ordered, again
        look = held(keys, often)
        order = np.lexsort((who[of[look]], keys[look]))
        keys, of = keys[look][order], of[look][order]
        new_key = np.diff(keys, prepend=~keys[:1]) != 0
        new_user = new_key | (np.diff(who[of], prepend=-1) != 0)
        at = np.flatnonzero(new_key)
        users = np.add.reduceat(new_user.astype(np.int64), at) if len(at) else at
        enough = at[users >= np.maximum(COMMON_AUTHORS, COMMON_SHARE * authors)[community[of[at]]]]
        found.append(keys[enough] ^ salt[community[of[enough]]])
    return np.unique(np.concatenate(found))


def held(keys: Hashes, among: Hashes) -> Flags:
    """Which keys stand in the sorted array `among`.

    A table of the keys' first 20 bits answers for nearly all of them: a third of the time of a search for each.
    """
    table = np.zeros(1 << 20, dtype=bool)
    table[among >> np.uint64(44)] = True
    found: Flags = table[keys >> np.uint64(44)]
    some = np.flatnonzero(found)
    if len(some):
        found[some] = among[np.minimum(np.searchsorted(among, keys[some]), len(among) - 1)] == keys[some]
    return found


def rare(texts: Texts, runs: Runs, frequent: Hashes) -> Runs:
    """The runs that are compared: of a bare title all, of other posts what is no template.

    The template of one community is left out everywhere, so that a mirror of a post still equals it.
    """
    lengths = np.diff(runs.start)
    kept = np.repeat(texts.bare, lengths) | ~held(runs.hash, frequent)
    upto = np.concatenate([[0], np.cumsum(kept)])
    return Runs(runs.hash[kept], upto[runs.start])


def sketch(runs: Runs, rows: int) -> Hashes:
    """Band keys, one row a post and one column a band: posts share a key with probability Jaccard to the `rows`."""
    minima = RMinHash.digest_matrix_from_flat_token_hashes(runs.hash, runs.start.astype(np.uint64), MINIMA, SEED)
    bands = MINIMA // rows
    table = np.array(minima.to_rows(), dtype=np.uint64).reshape(-1, MINIMA)[:, : bands * rows]
    keys = np.zeros((len(table), bands), dtype=np.uint64)
    for row in range(rows):
        keys = _mixed(keys ^ table[:, row::rows]) + table[:, row::rows]
    return keys


def in_buckets(keys: Hashes, posts: Numbers) -> tuple[Numbers, Numbers]:
    """Pairs (earlier, later) of posts that share a key; each post with the first `BUCKET` that have its key."""
    order = np.argsort(keys)
    same = keys[order][1:] == keys[order][:-1]
    grouped = np.sort(order[np.concatenate([[False], same]) | np.concatenate([same, [False]])]) if len(keys) else order
    grouped = grouped[np.argsort(keys[grouped], kind="stable")]
    new = np.diff(keys[grouped], prepend=~keys[grouped][:1]) != 0
    begin = np.maximum.accumulate(np.where(new, np.arange(len(grouped)), 0))
    rank = np.arange(len(grouped)) - begin
    earlier, later = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for nth in range(min(BUCKET, int(rank.max(initial=0)))):
        after = rank > nth
        earlier.append(posts[grouped[begin[after] + nth]])
        later.append(posts[grouped[after]])
    return np.concatenate(earlier), np.concatenate(later)


class Overlap(NamedTuple):
    """Of each pair: how much of both together they share, how much of the smaller, and how many runs that has."""

    jaccard: npt.NDArray[np.float64]
    inside: npt.NDArray[np.float64]
    smaller: Numbers


def overlap(runs: Runs, earlier: Numbers, later: Numbers) -> Overlap:
    """The exact overlap of pairs of posts; a run that a post repeats counts once."""
    used, place = np.unique(np.concatenate([earlier, later]), return_inverse=True)
    lengths = np.diff(runs.start)[used]
    hashes = runs.hash[spans(runs.start[:-1][used], lengths)]
    columns = np.unique(hashes, return_inverse=True)[1]
    shape = (len(used), int(columns.max(initial=0)) + 1)
    matrix = sparse.csr_matrix((np.ones(len(columns), dtype=np.int32), columns, _starts(lengths)), shape=shape)
    matrix.sum_duplicates()
    matrix.data[:] = 1
    sizes = np.diff(matrix.indptr).astype(np.int64)
    left, right = place[: len(earlier)], place[len(earlier) :]
    both = np.zeros(len(left), dtype=np.int64)
    for at in range(0, len(left), _PAIRS):
        part = slice(at, at + _PAIRS)
        both[part] = matrix[left[part]].multiply(matrix[right[part]]).sum(axis=1).ravel()
    smaller = np.minimum(sizes[left], sizes[right])
    union = sizes[left] + sizes[right] - both
    return Overlap(both / np.maximum(union, 1), both / np.maximum(smaller, 1), smaller)


class Copies(NamedTuple):
    """Pairs of posts, by their numbers, that are copies by one method."""

    method: str
    earlier: Numbers
    later: Numbers
    similarity: npt.NDArray[np.float64]


def _exact(texts: Texts) -> Iterator[Copies]:
    """Posts whose whole text is the same. A bare title says too little below four words."""
    told = np.flatnonzero(np.where(texts.bare, texts.words >= TITLE_WORDS, texts.words > 0))
    earlier, later = in_buckets(texts.exact[told], told)
    yield Copies("exact", earlier, later, np.ones(len(earlier)))


def _alike(rule: Rule, texts: Texts, runs: Runs, candidates: tuple[Numbers, Numbers]) -> Iterator[Copies]:
    """Those of the candidate pairs that the rule calls copies; of two bare titles nearly every word must agree."""
    earlier, later = candidates
    found = overlap(runs, earlier, later)
    bare = texts.bare[earlier] & texts.bare[later]
    near = found.jaccard >= np.where(bare, TITLE_JACCARD, rule.jaccard)
    part = ~near & ~bare & (found.inside >= rule.contained) & (found.smaller >= rule.contained_from)
    for method, holds, similarity in (("near", near, found.jaccard), ("contained", part, found.inside)):
        yield Copies(method, earlier[holds], later[holds], similarity[holds])


def _titled(texts: Texts, rares: Sequence[Runs], compared: Flags) -> Iterator[Copies]:
    """Posts of one title whose own words agree or, where one has hardly any of its own, whose whole text does."""
    posts = np.flatnonzero(compared & (texts.title_words >= TITLE_WORDS))
    candidates = in_buckets(texts.title[posts], posts)
    for whole, own in zip(texts.runs, rares, strict=True):
        words, text = overlap(own, *candidates), overlap(whole, *candidates)
        thin = words.smaller < THIN
        holds = np.where(thin, text.jaccard >= 0.5, words.inside >= 0.8) & (text.smaller > 0)
        similarity = np.where(thin, text.jaccard, words.inside)
        yield Copies("title", candidates[0][holds], candidates[1][holds], similarity[holds])


def find_pairs(items: Sequence[Item], frozen: Frozen | None = None, processes: int = 1) -> list[Pair]:
    """Every copy among the items with the earliest item that it copies, in order of the items.

    Without `frozen` the items decide it themselves. With the same `frozen` the pairs among the first items do not
    depend on those that follow.
    """
    if not items:
        return []
    with workers(processes if len(items) > _ALONE else 1) as each:
        texts = joined(each(read, ([(i.title, i.body) for i in chunk] for chunk in chunks(items))))
        first = first_of_kind(texts)
        return pairs_of(items, texts, first, sketched(texts, first, frozen or freeze(items, texts)))


class Sketched(NamedTuple):
    """What one rule compares: the rare runs of all posts, the posts that have enough of them, and their sketches."""

    rare: Runs
    posts: Numbers
    keys: Hashes


def sketched(texts: Texts, first: Flags, frozen: Frozen) -> Iterator[Sketched]:
    """One a rule, made when it is asked for: the sketches of a million posts take 0.3 GB."""
    for runs in texts.runs:
        own = rare(texts, runs, frozen.frequent)
        posts = comparable(texts, own, first)
        yield Sketched(own, posts, sketches(own, posts, frozen.rows))


def pairs_of(items: Sequence[Item], texts: Texts, first: Flags, sketched: Iterable[Sketched]) -> list[Pair]:
    """`find_pairs` on texts that were read and sketched already."""
    found = list(_exact(texts))
    rares: list[Runs] = []
    for rule, (own, posts, keys) in zip(RULES, sketched, strict=True):
        found += _alike(rule, texts, own, _candidates(keys, posts))
        rares.append(own)
    found += _titled(texts, rares, first)
    return list(_earliest(items, found))


def first_of_kind(texts: Texts) -> Flags:
    """Which posts are no exact copy of an earlier one."""
    distinct = np.ones(len(texts.words), dtype=bool)
    for copies in _exact(texts):
        distinct[copies.later] = False
    return distinct


def comparable(texts: Texts, runs: Runs, distinct: Flags) -> Numbers:
    """The posts that have enough of their own to be compared: a bare title anything, others `THIN` runs."""
    own = np.diff(runs.start)
    return np.flatnonzero(distinct & np.where(texts.bare, own > 0, own >= THIN))


def _candidates(keys: Hashes, posts: Numbers) -> tuple[Numbers, Numbers]:
    """Every two posts that share a band, once."""
    top = int(posts.max(initial=0)) + 1
    codes: list[Numbers] = [np.zeros(0, dtype=np.int64)]
    for band in keys.T:
        earlier, later = in_buckets(np.ascontiguousarray(band), posts)
        codes.append(later * top + earlier)
        if sum(map(len, codes[1:])) > max(_PAIRS, len(codes[0])):
            codes = [np.unique(np.concatenate(codes))]
    found = np.unique(np.concatenate(codes))
    return found % top, found // top


_REPOSITORY = re.compile(r"(?!r/)[\w.-]+/[\w./-]+")


def is_me_too(one: Item, other: Item) -> bool:
    """Whether two like posts are two voices: in one repository, by two authors who are both known."""
    return (
        one.community == other.community
        and bool(one.author and other.author)
        and one.author != other.author
        and _REPOSITORY.fullmatch(one.community) is not None
    )


def _earliest(items: Sequence[Item], found: Iterable[Copies]) -> Iterator[Pair]:
    """Of all pairs of a post the earliest copy and, only where there is none, the earliest `me-too`."""
    best: dict[int, tuple[tuple[bool, int], Pair]] = {}
    for method, *columns in found:
        for earlier, later, similarity in zip(*(column.tolist() for column in columns), strict=True):
            voice = is_me_too(items[earlier], items[later])
            rank = (voice, earlier)
            if later not in best or rank < best[later][0]:
                pair = Pair(items[earlier].id, items[later].id, ME_TOO if voice else method, round(similarity, 4))
                best[later] = (rank, pair)
    return (best[later][1] for later in sorted(best))


def chunks(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    return (items[at : at + _CHUNK] for at in range(0, len(items), _CHUNK))


def sketches(runs: Runs, posts: Numbers, rows: int) -> Hashes:
    """The sketches of the given posts, one row a post."""

    def pieces() -> Iterator[Runs]:
        for at in range(0, len(posts), _CHUNK):
            part = posts[at : at + _CHUNK]
            lengths = np.diff(runs.start)[part]
            yield Runs(runs.hash[spans(runs.start[part], lengths)], _starts(lengths))

    return np.concatenate([np.zeros((0, MINIMA // rows), np.uint64), *(sketch(piece, rows) for piece in pieces())])


@contextmanager
def workers(processes: int) -> Iterator[Each]:
    """`map`, over so many processes; in this one where it is one."""
    if processes < 2:
        yield map
    else:
        # Forked where that is safe: a fresh process takes a second to load numpy. What is sent there never touches
        # rensa, whose threads would not outlive the fork and would be waited for without end.
        method = "fork" if sys.platform == "linux" else "spawn"
        with ProcessPoolExecutor(processes, mp_context=get_context(method)) as pool:
            yield partial(_ahead, pool, 2 * processes)


def _ahead(pool: ProcessPoolExecutor, most: int, function: Callable[..., Any], parts: Iterable[Any]) -> Iterator[Any]:
    """`map` that makes only a few parts before they are asked for; the pool's own makes all, which costs a gigabyte."""
    waiting: deque[Future[Any]] = deque()
    for part in parts:
        waiting.append(pool.submit(function, part))
        if len(waiting) >= most:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()
