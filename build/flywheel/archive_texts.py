"""The texts of the population, read in place from the folder of archives that lies beside the project.

Nothing read here is ever written into the project: learning takes words from it, tagging takes numbers.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from flywheel.signal import canonical_url

POSTS, TITLES, COMMENTS = "finetuning-posts.jsonl.gz", "forum-titles.jsonl.gz", "reddit-localllama-comments.jsonl.gz"
NAMES = (POSTS, TITLES, COMMENTS)
"""The files that hold every coded post of the population (`data/archives.yml` says what they are)."""

COMMENT_LENGTH = 80
"""Characters that a comment must have to belong to the population."""
VOCABULARY = re.compile(
    r"fine[\s_-]*tun|finetun|\bq?loras?\b|\bpeft\b|\bsft\b|\bdpo\b|\brlhf\b|\bgrpo\b|unsloth|axolotl", re.IGNORECASE
)
"""What a comment must name. It finds every coded comment, and 20 more than the 2,301 that `archives.yml` counts."""


class ArchivePost(NamedTuple):
    """One post of an archive. `day` is an ISO day, or an ISO month where only that is known, or empty."""

    url: str
    archive: str
    source: str
    community: str
    thread: str
    title: str
    body: str
    day: str
    seen: str


def folder_beside(root: Path) -> Path:
    return root.parent / "shared" / "archives"


def at_hand(folder: Path) -> bool:
    """Whether all the named archives are there."""
    return all((folder / name).is_file() for name in NAMES)


def posts(folder: Path) -> Iterator[ArchivePost]:
    """Every post of the population, coded or not, in the order of the files."""
    for row in _rows(folder / POSTS):
        url = _url(row["url"])
        source, community = _where(url, row["set"])
        thread = f"rd.{url.split('/')[6]}" if source == "reddit" else url
        yield ArchivePost(
            url,
            row["set"],
            source,
            community,
            thread,
            row["title"] or "",
            row["body"] or "",
            _day(row["date"]),
            "opening",
        )
    for row in _rows(folder / TITLES):
        yield ArchivePost(
            url=row["url"],
            archive="openai-forum-titles",
            source="discourse",
            community="community.openai.com",
            thread=row["url"],
            title=row["title"],
            body="",
            day=row["month"],
            seen="title",
        )
    for row in _rows(folder / COMMENTS):
        if len(row["body"]) >= COMMENT_LENGTH and VOCABULARY.search(row["body"]):
            yield ArchivePost(
                url=canonical_url(f"https://www.reddit.com{row['permalink']}"),
                archive="localllama-comments",
                source="reddit",
                community="r/LocalLLaMA",
                thread=f"rd.{row['link_id'].removeprefix('t3_')}",
                title="",
                body=row["body"],
                day=_day(row["created_utc"]),
                seen="comment",
            )


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def _url(url: str) -> str:
    """Reddit addresses may carry a title in any script, which `canonical_url` refuses."""
    return canonical_url(re.sub(r"(reddit\.com/r/\w+/comments/\w+/).*", r"\1", url))


def _where(url: str, archive: str) -> tuple[str, str]:
    host, *path = url.removeprefix("https://").split("/")
    match host:
        case "www.reddit.com":
            return "reddit", f"r/{path[1]}"
        case "github.com":
            return "github", "/".join(path[:2])
        case "huggingface.co":
            return "hf_hub", "/".join(path[: path.index("discussions")])
        case "news.ycombinator.com":
            return "hackernews", "news.ycombinator.com"
    return "forum", host


def _day(date: str | float) -> str:
    text = str(date)
    if re.fullmatch(r"\d{9,11}(\.\d+)?", text):
        return datetime.fromtimestamp(float(text), UTC).date().isoformat()
    return text[:10] if re.match(r"\d{4}-\d{2}-\d{2}", text) else ""
