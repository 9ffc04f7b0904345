"""Measures finding copies and tagging: how well on made-up mutations of real issues, and how fast.

    python -m flywheel.benchmark ../shared            copies, unrelated issues, 100,000 posts, tagging
    python -m flywheel.benchmark ../shared --million  also 1,000,000 posts and a refresh of 500

How good relevance and themes are is measured by `flywheel train`, which writes data/tagger_report.jsonl.
"""

from __future__ import annotations

import argparse
import csv
import random
import re
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from flywheel import archive_texts, dedupe, dedupe_index, tag
from flywheel.dedupe import Item
from flywheel.features import Text
from flywheel.tagging_commands import classified

PROCESSES = 2
EACH = 100
"""Posts a kind of mutation is tried on; no post is mutated twice."""


class Issue(NamedTuple):
    repository: str
    title: str
    body: str


def issues(shared: Path) -> list[Issue]:
    csv.field_size_limit(10**9)
    found = []
    for path in sorted((shared / "realtext").glob("*.csv")):
        with path.open(newline="", encoding="utf-8") as file:
            found += [Issue(row["repo"], row["title"], row["body"]) for row in csv.DictReader(file)]
    return found


def _edited(text: str, rng: random.Random) -> str:
    """One word in twenty is dropped, replaced or followed by another."""
    words = re.split(r"(\s+)", text)
    for n in range(0, len(words), 2):
        if rng.random() < 0.05:
            words[n] = rng.choice(["", "changed", f"{words[n]} again"])
    return "".join(words)


def _cut(text: str, part: float) -> str:
    words = re.split(r"(\s+)", text)
    return "".join(words[: int(len(words) * part)])


def _escaped(text: str) -> str:
    for mark, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        text = text.replace(mark, entity)
    return text


Mutation = Callable[[Issue, random.Random], tuple[str, str]]
EASY: dict[str, Mutation] = {
    "case and blanks": lambda i, rng: (
        i.title.upper(),
        re.sub(r"\s+", lambda _: rng.choice(["  ", "\n"]), i.body.lower()),
    ),
    "quoted": lambda i, _: (i.title, "\n".join(f"> {line}" for line in i.body.splitlines())),
    "fenced": lambda i, _: (i.title, f"```\n{i.body}\n```"),
    "as HTML": lambda i, _: (i.title, "<p>" + _escaped(i.body).replace("\n", "</p>\n<p>") + "</p>"),
    "one word in twenty edited": lambda i, rng: (_edited(i.title, rng), _edited(i.body, rng)),
    "cross-posted": lambda i, _: (
        f"[x-post] {i.title}",
        f"Cross-posting this from another forum since nobody answered there.\n\n{i.body}\n\nThanks in advance!",
    ),
    "mirrored": lambda i, _: (
        f"{i.title} - IssueHub",
        f"Originally reported by user123 on 2023-05-04. View original thread.\n\n{i.body}\n\n"
        "This page mirrors a public tracker. Comments are closed.",
    ),
    "without Markdown": lambda i, _: (i.title, re.sub(r"[#*`_>\-\[\]]", " ", i.body)),
}
CUT: dict[str, Mutation] = {
    "half": lambda i, _: (i.title, _cut(i.body, 0.5)),
    "a quarter": lambda i, _: (i.title, _cut(i.body, 0.25)),
}
TEMPLATE = """<!-- Please search existing issues before filing a new one. -->
### Describe the bug
{}
### Steps to reproduce
1. Install the latest version of the package
2. Run the command that fails and wait for the output
3. See the error in the console
### Expected behaviour
A clear and concise description of what you expected to happen goes here
### Environment
- OS: Ubuntu 22.04
- Python version: 3.10
- Package version: latest
### Checklist
- [x] I have searched the existing issues
- [x] I have read the documentation and the contributing guide
- [x] I agree to follow the code of conduct of this project
"""


def copies(found: Sequence[Issue], seed: int) -> dict[str, float]:
    """Recall by kind of mutation, and wrong merges of 250 different complaints that fill one template."""
    rng = random.Random(seed)  # noqa: S311 - not for secrets
    items = [Item(f"original {n}", i.title, i.body, i.repository) for n, i in enumerate(found)]
    order = rng.sample(range(len(found)), len(found))
    kinds = {**EASY, **CUT}
    truth: dict[str, tuple[str, str]] = {}

    def add(id_: str, of: str, kind: str, title: str, body: str) -> None:
        items.append(Item(id_, title, body, "elsewhere"))
        truth[id_] = (of, kind)

    for place, (kind, mutate) in enumerate(kinds.items()):
        for n in order[place * EACH : (place + 1) * EACH]:
            add(f"{kind} {n}", f"original {n}", kind, *mutate(found[n], rng))
    bare = [issue for issue in found if len(issue.title.split()) >= 5][:600]
    items += [Item(f"title {n}", issue.title, "", "forum") for n, issue in enumerate(bare)]
    for n, issue in enumerate(bare[: 2 * EACH]):
        add(f"again {n}", f"title {n}", "title again", issue.title.capitalize() + rng.choice(["?", "!", " please"]), "")
    complaints = list(dict.fromkeys(issue.title for issue in found if len(issue.title.split()) >= 6))
    for n, title in enumerate(rng.sample(complaints, 250)):
        items.append(Item(f"complaint {n}", f"[Bug]: {title[:60]}", TEMPLATE.format(title), "owner/template"))
    pairs = dedupe.find_pairs(items)
    keep = {pair.drop: pair.keep for pair in pairs}

    def root(id_: str) -> str:
        while id_ in keep:
            id_ = keep[id_]
        return id_

    tried, hit = Counter(kind for _, kind in truth.values()), Counter[str]()
    for id_, (of, kind) in truth.items():
        hit[kind] += root(id_) == root(of)
    easy = [kind for kind in tried if kind not in CUT]
    return {
        **{kind: hit[kind] / tried[kind] for kind in tried},
        "easy": sum(hit[kind] for kind in easy) / sum(tried[kind] for kind in easy),
        "template": sum(p.keep.startswith("complaint") and p.drop.startswith("complaint") for p in pairs),
    }


def crowd(found: Sequence[Issue], count: int, seed: int = 0) -> list[Item]:
    """Short posts: 60 words drawn from real issues, one in ten a copy with one word changed; 20 communities."""
    rng = random.Random(seed)  # noqa: S311 - not for secrets
    words = [word for issue in found for word in issue.body.split()[:200]]
    items: list[Item] = []
    for n in range(count):
        if n > 10 and rng.random() < 0.1:
            old = items[rng.randrange(n)]
            said = old.body.split(" ")
            said[rng.randrange(len(said))] = "changed"
            title, body = old.title, " ".join(said)
        else:
            drawn = rng.choices(words, k=60)
            title, body = " ".join(drawn[:8]), " ".join(drawn[8:])
        items.append(Item(f"{seed}.{n}", title, body, f"community {n % 20}"))
    return items


def _peak() -> float:
    """Gigabytes, of this process and the largest of its children."""
    usage = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage) / 1e6


def _busy() -> float:
    """Seconds of CPU of this process and of its children that have ended."""
    return time.process_time() + sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])


def _said(what: str, measured: str, target: str) -> None:
    print(f"{what:<58} {measured:>28}   {target}", flush=True)


def measure_copies(found: Sequence[Issue]) -> None:
    runs = [copies(found, seed) for seed in (1, 2, 3)]
    for kind in runs[0]:
        values = [run[kind] for run in runs]
        target = {"easy": "at least 0.98", "half": "at least 0.88", "template": "0"}.get(kind, "")
        _said(f"copies: {kind} (three draws)", " ".join(f"{value:.3g}" for value in values), target)


def measure_speed_of_copies(found: Sequence[Issue], million: bool) -> None:
    for count, target in ((100_000, "5 s"), (1_000_000, "100 s, 6 GB"))[: 2 if million else 1]:
        items = crowd(found, count)
        started, busy = time.perf_counter(), _busy()
        pairs = dedupe.find_pairs(items, processes=PROCESSES)
        seconds, busy = time.perf_counter() - started, _busy() - busy
        measured = f"{seconds:.1f} s ({busy:.1f} of CPU), {_peak():.1f} GB"
        _said(f"copies among {count:,} posts ({len(pairs):,} found)", measured, target)
    if million:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "copies.db"
            started = time.perf_counter()
            dedupe_index.build(path, items, PROCESSES)
            size = path.stat().st_size / 1e9
            _said("its index built", f"{time.perf_counter() - started:.0f} s, {size:.1f} GB", "")
            started = time.perf_counter()
            pairs = dedupe_index.add(
                path, [*crowd(found, 450, seed=1), *(i._replace(id=f"new {i.id}") for i in items[:50])]
            )
            _said(f"a refresh of 500 ({len(pairs)} pairs)", f"{time.perf_counter() - started:.1f} s", "under 60 s")


def measure_tagging(found: Sequence[Issue], shared: Path, model: tag.Model) -> None:
    texts = [Text(issue.title, issue.body, issue.repository) for issue in found]
    passed = int((tag.tag(model, texts).relevance >= model.thresholds.signal).sum())
    _said("unrelated issues let through", f"{passed} of {len(texts):,}", "under 0.5 %")
    posts = list(archive_texts.posts(shared / "archives"))
    for seen, target in (("opening", "2,500 posts/s"), ("title", "20,000")):
        these = [(p.url, Text(p.title, p.body[:2_000], p.community)) for p in posts if p.seen == seen]
        these = (these * (64_000 // len(these) + 1))[:64_000]
        chunks = [these[at : at + 8_000] for at in range(0, len(these), 8_000)]
        busy = time.process_time()
        count = sum(len(classified(model, chunk)) for chunk in chunks[:1])
        rate = count / (time.process_time() - busy)
        _said(f"{seen}s tagged in a second of one process's CPU", f"{rate:,.0f}", "")
        with dedupe.workers(PROCESSES) as each:
            list(each(partial(classified, model), chunks[:2]))
            started = time.perf_counter()
            count = sum(len(rows) for rows in each(partial(classified, model), chunks))
            seconds = time.perf_counter() - started
        _said(f"{seen}s tagged by {PROCESSES} processes", f"{count / seconds:,.0f} posts/s", target)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m flywheel.benchmark", description=__doc__.split("\n")[0])
    parser.add_argument("shared", type=Path)
    parser.add_argument("--model", type=Path, default=Path("data/tagger"))
    parser.add_argument("--million", action="store_true")
    chosen = parser.parse_args()
    if not (chosen.shared / "realtext").is_dir():
        sys.exit(f"{chosen.shared} holds no realtext: nothing to measure on")
    found = issues(chosen.shared)
    measure_copies(found)
    measure_tagging(found, chosen.shared, tag.load(chosen.model))
    measure_speed_of_copies(found, chosen.million)


if __name__ == "__main__":
    main()
