"""Posts as rows of numbers: words, pairs of words, character n-grams, the community's name, and a post's shape.

The columns are learned once (`learn`) and then fixed; a row depends on its post alone. Pure and picklable.

This is TF-IDF as scikit-learn's vectorizers make it, but a word's n-grams are looked up once a batch and not once an
occurrence, which makes it some ten times as fast (docs/tagging.md).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import sparse

from flywheel.dedupe import normalise, spans

Floats = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int64]

READ = 2_000
"""Characters of a post that count: the readers of the corpus read no more of a long one."""
LEAST_POSTS = 5
"""No word, pair or n-gram is kept that fewer posts hold."""
GRAMS = (3, 4, 5)
LEAD = 80
"""Words at the head of a post that count once more, for themselves: the question is asked there."""


class Text(NamedTuple):
    """What is known of a post before it is tagged. `community` may be empty."""

    title: str
    body: str
    community: str = ""


# Words that say how a post speaks; counted together, each family one column.
FAMILIES: Mapping[str, frozenset[str]] = {
    name: frozenset(words.split())
    for name, words in {
        "tuning": """tuning tuned tune tunes finetune finetuned finetuning finetunes lora loras qlora peft sft dpo grpo
            ppo rlhf orpo adapter adapters unsloth axolotl trl train training trained trainer trains 微 调 训 练""",
        "i": "i my me mine myself 我",
        "we": "we our us",
        "trouble": """error errors fail fails failed failing failure issue issues problem problems wrong bug bugs crash
            crashes stuck oom traceback exception nan cannot unable doesn didn won broken weird strange 错 误""",
        "asking": """how why what anyone anybody help possible trying tried advice suggestions should can does
            wondering 请 问""",
        "image": "diffusion sdxl flux comfyui controlnet wan image images video videos checkpoint dreambooth",
        "news": """release released releasing introducing announcing announced built launch launched today opensource
            paper""",
        "serving": "inference quantized gguf quant quants vllm ollama rag prompt prompts prompting api server",
        "link": "http https www com",
    }.items()
}
NEAR = 6
"""Words on either side of a tuning word that belong to it."""
_NEAR_TUNING = ("i", "we", "trouble", "asking")
SHAPE = (
    *FAMILIES,
    *(f"{name} near tuning" for name in _NEAR_TUNING),
    "no title",
    "no body",
    "no community",
    "length",
    "question marks",
    "question in the title",
    "code",
    "first tuning word",
)


def _names(community: str) -> list[str]:
    """A community's name and the words in it: `r/LocalLLaMA`, `owner/model-7b`, `forum.example.com`."""
    community = community.lower()
    return [f"={community}", *dict.fromkeys(re.findall(r"[a-z]{2,}|\d+", community))] if community else []


class _Batch:
    """Posts as counts of the words that they hold; the columns of `counts` are the batch's own words."""

    def __init__(self, texts: Sequence[Text]) -> None:
        self.texts = texts
        words = [normalise(f"{t.title}\n{t.body[:READ]}"[:READ]).split() for t in texts]
        self.local: dict[str, int] = {}
        number = self.local
        ids = [number.setdefault(word, len(number)) for post in words for word in post]
        self.ids = np.array(ids, dtype=np.int64)
        self.lengths = np.array([len(post) for post in words], dtype=np.int64)
        self.start = np.concatenate([[0], np.cumsum(self.lengths)])
        self.post = np.repeat(np.arange(len(texts)), self.lengths)
        self.counts = _counted(self.post, self.ids, (len(texts), len(number)))

    def spread(self, columns: Iterable[tuple[int, int]], width: int) -> sparse.csr_matrix:
        """Counts under other columns: pairs (word of the batch, column), a word may have several."""
        pairs = np.array(list(columns), dtype=np.int64).reshape(-1, 2)
        return self.counts @ _counted(pairs[:, 0], pairs[:, 1], (len(self.local), width))

    def words(self, known: Mapping[str, int]) -> sparse.csr_matrix:
        return self.spread(((n, known[w]) for w, n in self.local.items() if w in known), len(known))

    def lead(self, known: Mapping[str, int]) -> sparse.csr_matrix:
        """The words at the head of each post alone."""
        column = np.array([known.get(word, -1) for word in self.local], dtype=np.int64)
        at = spans(self.start[:-1], np.minimum(self.lengths, LEAD))
        columns = column[self.ids[at]] if len(column) else at
        shape = (len(self.texts), len(known))
        return _counted(self.post[at][columns >= 0], columns[columns >= 0], shape)

    def grams(self, known: Mapping[str, int]) -> sparse.csr_matrix:
        found = ((n, known[gram]) for word, n in self.local.items() for gram in grams(word) if gram in known)
        return self.spread(found, len(known))

    def pairs(self, known: Mapping[tuple[str, str], int]) -> sparse.csr_matrix:
        size = len(self.local)
        wanted = np.array(
            [
                (self.local[a] * size + self.local[b], column)
                for (a, b), column in known.items()
                if a in self.local and b in self.local
            ],
            dtype=np.int64,
        ).reshape(-1, 2)
        wanted = wanted[np.argsort(wanted[:, 0])]
        inside = self.post[:-1] == self.post[1:]
        codes, posts = (self.ids[:-1] * size + self.ids[1:])[inside], self.post[:-1][inside]
        if not len(wanted):
            return sparse.csr_matrix((len(self.texts), len(known)))
        at = np.minimum(np.searchsorted(wanted[:, 0], codes), len(wanted) - 1)
        held = wanted[at, 0] == codes
        return _counted(posts[held], wanted[at[held], 1], (len(self.texts), len(known)))

    def places(self, known: Mapping[str, int]) -> sparse.csr_matrix:
        rows, columns = [], []
        for row, text in enumerate(self.texts):
            for name in _names(text.community):
                if name in known:
                    rows.append(row)
                    columns.append(known[name])
        shape = (len(self.texts), len(known))
        return _counted(np.array(rows, dtype=np.int64), np.array(columns, dtype=np.int64), shape)

    def shape(self) -> Floats:
        """One row a post and one column a name of `SHAPE`; counts as log(1 + n)."""
        family = {
            name: np.array([self.local[w] for w in sorted(words) if w in self.local], dtype=np.int64)
            for name, words in FAMILIES.items()
        }
        held = {name: np.isin(self.ids, of) for name, of in family.items()}
        # A running count of tuning words, with a gap after each post so that no post reaches into the next.
        place = np.arange(len(self.ids)) + self.post * (2 * NEAR + 1)
        tuning = place[held["tuning"]]
        upto, before = np.searchsorted(tuning, place + NEAR, side="right"), np.searchsorted(tuning, place - NEAR)
        near = upto > before

        def counted(which: npt.NDArray[np.bool_]) -> Floats:
            return np.log1p(np.bincount(self.post[which], minlength=len(self.texts)))

        first = np.full(len(self.texts), 1.5)
        at = np.flatnonzero(held["tuning"])[::-1]
        first[self.post[at]] = (at - self.start[self.post[at]]) / np.maximum(self.lengths[self.post[at]], 1)
        plain = [
            (
                not t.title,
                not t.body,
                not t.community,
                np.log1p(min(len(t.title) + len(t.body), 20 * READ)),
                np.log1p(t.title.count("?") + t.body[:READ].count("?")),
                "?" in t.title,
                "```" in t.body[:READ] or "Traceback" in t.body[:READ],
            )
            for t in self.texts
        ]
        return np.column_stack(
            [
                *(counted(held[name]) for name in FAMILIES),
                *(counted(held[name] & near) for name in _NEAR_TUNING),
                np.array(plain, dtype=float).reshape(-1, 7),
                first,
            ]
        )


def grams(word: str) -> list[str]:
    """Character n-grams of a word with its borders: `the` has ` th`, `the`, `he `, ` the`, …"""
    word = f" {word} "
    return [word[at : at + size] for size in GRAMS for at in range(len(word) - size + 1)]


def _counted(rows: Numbers, columns: Numbers, shape: tuple[int, int]) -> sparse.csr_matrix:
    found = sparse.csr_matrix((np.ones(len(rows)), (rows, columns)), shape=shape)
    found.sum_duplicates()
    return found


BLOCKS = ("words", "pairs", "grams", "lead", "places")
LEAD_WEIGHT, PLACE_WEIGHT, SHAPE_WEIGHT = 0.8, 0.6, 0.3


@dataclass(frozen=True)
class Features:
    """The columns: `names` of each block in order, `idf` of all but places, middle and scale of the shape."""

    names: Mapping[str, tuple[str, ...]]
    idf: Floats
    middle: Floats
    scale: Floats

    @cached_property
    def known(self) -> dict[str, dict[str, int]]:
        return {block: {name: n for n, name in enumerate(self.names[block])} for block in BLOCKS}

    @cached_property
    def _pairs(self) -> dict[tuple[str, str], int]:
        return {tuple(name.split(" ")): n for name, n in self.known["pairs"].items()}  # type: ignore[misc]

    @property
    def width(self) -> int:
        return sum(len(self.names[block]) for block in BLOCKS) + len(SHAPE)

    def column_names(self) -> list[str]:
        return [*(name for block in BLOCKS for name in self.names[block]), *SHAPE]

    def matrix(self, texts: Sequence[Text]) -> sparse.csr_matrix:
        """One row a text. Words and pairs together, n-grams, and the head's words have length 1 each."""
        batch = _Batch(texts)
        known = self.known
        said = sparse.hstack([batch.words(known["words"]), batch.pairs(self._pairs)]).tocsr()
        spelled = batch.grams(known["grams"]).tocsr()
        places = batch.places(known["places"]) * PLACE_WEIGHT
        shape = sparse.csr_matrix((batch.shape() - self.middle) / self.scale * SHAPE_WEIGHT)
        lead = batch.lead(known["lead"])
        cuts = np.cumsum([said.shape[1], spelled.shape[1]])
        idf = np.split(self.idf, cuts)
        blocks = [
            _weighted(said, idf[0]),
            _weighted(spelled, idf[1]),
            _weighted(lead, idf[2]) * LEAD_WEIGHT,
            places,
            shape,
        ]
        return sparse.hstack(blocks).tocsr()


def _weighted(counts: sparse.csr_matrix, idf: Floats) -> sparse.csr_matrix:
    """1 + log(count), times idf, each row of length 1."""
    counts = counts.copy()
    counts.data = (1 + np.log(counts.data)) * idf[counts.indices]
    squares = np.sqrt(counts.multiply(counts).sum(axis=1)).A1 if counts.shape[1] else np.zeros(counts.shape[0])
    return sparse.csr_matrix(sparse.diags(1 / np.where(squares > 0, squares, 1)) @ counts)


def learn(texts: Sequence[Text]) -> Features:
    """The columns that at least `LEAST_POSTS` of the texts hold."""
    batch = _Batch(texts)
    holds: dict[str, Counter[str]] = {
        "words": Counter(),
        "pairs": Counter(),
        "grams": Counter(),
        "lead": Counter(),
        "places": Counter(),
    }
    words = list(batch.local)
    grams_of = [frozenset(grams(word)) for word in words]
    for post, text in enumerate(texts):
        ids = batch.ids[batch.start[post] : batch.start[post + 1]].tolist()
        own = set(ids)
        holds["words"].update(words[n] for n in own)
        holds["lead"].update(words[n] for n in set(ids[:LEAD]))
        holds["pairs"].update({f"{words[a]} {words[b]}" for a, b in pairwise(ids)})
        holds["grams"].update(frozenset().union(*(grams_of[n] for n in own)))
        holds["places"].update(_names(text.community))
    names = {
        block: tuple(sorted(name for name, n in counts.items() if n >= LEAST_POSTS)) for block, counts in holds.items()
    }
    held = np.array([holds[block][name] for block in BLOCKS[:4] for name in names[block]], dtype=float)
    shape = batch.shape()
    scale = shape.std(axis=0)
    return Features(names, np.log((1 + len(texts)) / (1 + held)) + 1, shape.mean(axis=0), np.where(scale > 0, scale, 1))
