"""The build, stage by stage: data/ → posts → signals → signals.db. Pure functions over posts; `load` alone writes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from flywheel import agreement, data, dedupe, estimate, gold, load, ppi, switching, variants
from flywheel.data import Coding, CorrectionRow
from flywheel.signal import Post, signal_id
from flywheel.vocabulary import Vocabulary

Say = Callable[[str], None]


def forget(posts: Iterable[Post], tombstones: frozenset[str]) -> Iterator[Post]:
    """Posts without those that were erased at their source or on request, or whose thread was."""
    return (post for post in posts if post.id not in tombstones and post.thread not in tombstones)


def correct(posts: Iterable[Post], corrections: Sequence[CorrectionRow], vocabulary: Vocabulary) -> Iterator[Post]:
    """Posts with readers' corrections applied, a later line over an earlier one. What a line does not name stays."""
    by_id: dict[str, list[CorrectionRow]] = {}
    for row in corrections:
        by_id.setdefault(signal_id(row.url), []).append(row)
    for post in posts:
        for row in by_id.get(post.id, ()):
            post = _corrected(post, row, vocabulary)
        yield post


def _corrected(post: Post, row: CorrectionRow, vocabulary: Vocabulary) -> Post:
    post = replace(
        post, labelled_by="corrected", confidence=None, sure=row.sure or post.sure, readings=post.readings + 1
    )
    if row.pain is False:
        return replace(post, verdict="not_a_signal", theme=None, phase=None, also=(), ask=None, run=None, why=row.why)
    if row.pain and post.verdict != "signal":
        post = replace(post, verdict="signal", why=None)
    if row.theme:
        phase = vocabulary.phase_of(row.theme)
        kept = (post.ask, post.run) if phase != "train" else (None, None)
        post = replace(post, theme=row.theme, phase=phase, also=tuple(row.also), ask=kept[0], run=kept[1])
    if post.phase in ("evaluate", "iterate"):
        post = replace(post, ask=row.ask or post.ask or "other", run=post.run if row.run is None else row.run)
    return post


def readers(codings: Sequence[Coding], corrections: Sequence[CorrectionRow]) -> list[Coding]:
    """All readings, a reader's correction as one more reading of its post, numbered after those that exist."""
    last = Counter({coding.id: coding.reading for coding in codings})
    found = list(codings)
    for row in corrections:
        post = signal_id(row.url)
        last[post] += 1
        labels = row.model_dump(include={"pain", "theme", "why", "ask", "run", "sure", "reason"})
        found.append(
            Coding(id=post, reading=last[post], coder="reader", also=tuple(row.also), reader="visitor", **labels)
        )
    return sorted(found, key=lambda coding: (coding.id, coding.reading))


def _taken_for_signals(found: data.Data, unread: Iterable[Post]) -> list[Post]:
    signals = {post.id for post in found.derived}
    return [post for post in unread if post.id in signals]


def build(folder: Path, out: Path, store: Path | None = None, say: Say = lambda line: None) -> load.Built:
    """Builds `out` from a data folder. Raises FaultsError on bad input, and then leaves `out` as it was."""
    say(f"reading {folder}")
    found = data.read(folder)
    words = found.vocabulary
    read, unread = gold.with_added(found.posts, found.unread, found.codings, words)
    posts = list(correct(forget(read, found.tombstones), found.corrections, words))
    distinct = list(dedupe.fold(posts, found.duplicates))
    machine = correct(forget(_taken_for_signals(found, unread), found.tombstones), found.corrections, words)
    derived = list(dedupe.fold((post for post in machine if post.verdict == "signal"), found.duplicates))
    say(f"{len(posts):,} posts read, {len(distinct):,} distinct; {len(derived):,} more taken for signals by machine")

    counted = list(estimate.counted(distinct, words))
    read_by_archive = Counter(post.archive for post in posts if post.archive)
    clusters, rules = estimate.clusters(counted, words)
    distinct = [replace(post, cluster=clusters.get(post.id)) for post in distinct]
    spans = estimate.windows(counted)
    readers_switch = switching.part_of(distinct, found.codings, words)
    shares = estimate.estimates(counted, words, read_by_archive, readers_switch)
    switch_scaled = estimate.scaled(shares)
    base = variants.Base(distinct, counted, found.codings, rules, words, switch_scaled)
    shares += (row for span in spans if span.role == "all" for row in variants.estimates(base, span))
    shares += ppi.read_and_machine(distinct, unread, found.said, words, switch_scaled)
    signals = sum(post.verdict == "signal" for post in distinct)
    say(f"{signals:,} signals, {len(counted):,} of them carry a share, {len(shares):,} estimates")

    kept = {post.id for post in (*posts, *derived)}
    tables = load.Tables(
        vocabulary=words,
        posts=distinct,
        derived=derived,
        before_folding=posts,
        counted={post.id for post in counted},
        codings=[coding for coding in readers(found.codings, found.corrections) if coding.id in kept],
        duplicates=[pair for pair in found.duplicates if {pair.keep, pair.drop} <= kept],
        report=found.report,
        agreement=agreement.agreement(posts, found.codings, words, rules),
        windows=spans,
        variants=variants.described(base),
        estimates=sorted(shares, key=estimate.key),
        clustered_by=rules,
        history=found.history,
        changes=found.changes,
        files=found.files,
    )
    return load.write(tables, folder, out, store, say)
