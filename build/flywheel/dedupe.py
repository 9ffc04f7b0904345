"""Copies: which post stands for which. Folding keeps the one that `data/duplicates.jsonl` says to keep."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from flywheel.data import Duplicate
from flywheel.signal import Post


def fold(posts: Iterable[Post], duplicates: Sequence[Duplicate]) -> Iterator[Post]:
    """Posts without the copies. A chain of pairs ends at the post that nobody drops."""
    dropped = {pair.drop for pair in duplicates}
    return (post for post in posts if post.id not in dropped)
