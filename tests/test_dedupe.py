"""Copies: what is one, what is not, and that a refresh decides as a full run does."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel import dedupe, dedupe_index
from flywheel.data import Duplicate
from flywheel.dedupe import Item, find_pairs
from flywheel.signal import Post

ONSETS = ("ba", "da", "ga", "ka", "la", "ma", "na", "pa", "ra", "sa")
WORDS = [onset + rest for onset in ONSETS for rest in ("ben", "fil", "gom", "lus", "nik", "pat")]


def prose(seed: int, words: int = 60) -> str:
    return " ".join(random.Random(seed).choices(WORDS, k=words))


def linked(items: list[Item]) -> set[tuple[str, str]]:
    return {(pair.keep, pair.drop) for pair in find_pairs(items)}


@pytest.mark.parametrize(
    "again",
    [
        lambda t: t.upper().replace(" ", "\n"),
        lambda t: "".join(f"> {line}\n" for line in t.split(". ")),
        lambda t: f"```\n{t}\n```",
        lambda t: f"<p>{t.replace(' ', '</p> <p>', 3)}</p><!-- a comment that was left open",
        lambda t: t.replace(" ", "&nbsp;"),
        lambda t: "Cross-posted, no answer where I asked first. " + t + " Thanks in advance",
        lambda t: " ".join("changed" if n % 20 == 7 else word for n, word in enumerate(t.split())),
        lambda t: " ".join(t.split()[:30]),
    ],
)
def test_a_copy_is_found(again: Callable[[str], str]) -> None:
    items = [
        Item("a", "One title here", prose(1)),
        Item("b", "Other", prose(2)),
        Item("c", "New title", again(prose(1))),
    ]
    assert linked(items) == {("a", "c")}


def test_different_complaints_in_one_template_are_no_copies() -> None:
    template = prose(7, 150)
    items = [
        Item(f"i{n}", f"[Bug]: {prose(n, 6)}", f"{template} {prose(1000 + n, 25)} {prose(8, 80)}", "o/r")
        for n in range(250)
    ]
    assert find_pairs(items) == []


def test_the_template_alone_says_nothing_but_a_title_and_the_same_rest_do() -> None:
    template = prose(7, 150)
    forms = [Item(f"i{n}", prose(n, 6), template, "o/r") for n in range(20)]
    assert find_pairs(forms) == []
    again = Item("again", forms[3].title.upper(), template + " really", "elsewhere")
    assert [pair[:3] for pair in find_pairs([*forms, again])] == [("i3", "again", "title")]


def test_exact_near_contained_are_named_with_their_similarity() -> None:
    found = {
        pair.drop: pair
        for pair in find_pairs(
            [
                Item("a", "", prose(1, 200)),
                Item("b", "", prose(1, 200).upper()),
                Item("c", "", prose(1, 190) + " " + prose(2, 10)),
                Item("d", "", " ".join(prose(1, 200).split()[:60])),
            ]
        )
    }
    assert (found["b"].method, found["b"].similarity) == ("exact", 1.0)
    assert found["c"].method == "near" and 0.8 < found["c"].similarity < 1
    assert (found["d"].method, found["d"].similarity) == ("contained", 1.0)
    assert {pair.keep for pair in found.values()} == {"a"}


def test_another_author_in_one_repository_is_one_more_voice() -> None:
    def at(community: str, first: str, second: str) -> list[str]:
        return [
            p.method
            for p in find_pairs(
                [Item("a", "T", prose(1), community, first), Item("b", "T", prose(1), community, second)]
            )
        ]

    assert at("owner/repo", "1", "2") == ["me-too"]
    assert at("owner/repo", "1", "1") == ["exact"]
    assert at("owner/repo", "1", "") == ["exact"]
    assert at("r/LocalLLaMA", "1", "2") == ["exact"]


def test_a_copy_elsewhere_wins_over_one_more_voice() -> None:
    items = [
        Item("a", "T", prose(1), "owner/repo", "1"),
        Item("b", "T", prose(1) + " x y", "r/place", "2"),
        Item("c", "T", prose(1) + " x y", "owner/repo", "2"),
    ]
    assert {(p.keep, p.drop, p.method) for p in find_pairs(items)} == {("a", "b", "near"), ("b", "c", "exact")}


def test_folding_drops_copies_and_keeps_voices() -> None:
    one = Post(
        url="https://example.org/",
        id="a",
        thread="a",
        source="blog",
        community="x",
        kind="post",
        frame="targeted",
        verdict="signal",
        seen="opening",
        sure="high",
        coder="A",
    )
    posts = [replace(one, id=name) for name in "abc"]
    pairs = [Duplicate("a", "b", "near", 0.9), Duplicate("a", "c", dedupe.ME_TOO, 1.0)]
    assert [p.id for p in dedupe.fold(posts, pairs)] == ["a", "c"]


@pytest.mark.parametrize(
    "text", ["", "word", "\x00\ud800\udfff\x07", "\u202eabc\u202c", "Ã©Ã¨ â€œ", "<" * 5000, "&#0;&#x110000;", "?!…"]
)
def test_odd_texts_have_a_defined_outcome(text: str) -> None:
    items = [Item("a", "", text), Item("b", "", text), Item("c", text, "")]
    pairs = find_pairs(items)
    assert all(pair.method == "exact" for pair in pairs)
    assert bool(pairs) == bool(dedupe.normalise(text))


def test_five_megabytes_are_compared_whole() -> None:
    long = prose(1, 700_000)
    assert len(long) > 3_500_000
    assert linked([Item("a", "", long), Item("b", "", long + " more")]) == {("a", "b")}


def test_all_posts_identical() -> None:
    items = [Item(str(n), "The same title", "and the same body", author=str(n)) for n in range(200)]
    pairs = find_pairs(items)
    assert len(pairs) == 199
    assert {pair.keep for pair in pairs} == {"0"}


def test_bare_titles_of_three_words_are_not_enough() -> None:
    assert find_pairs([Item("a", "Fine-tuning", ""), Item("b", "fine tuning", "")]) == []
    assert linked([Item("a", "How to fine-tune it?", ""), Item("b", "how to fine tune it", "")]) == {("a", "b")}


def test_bare_titles_that_differ_in_one_word_are_no_copies() -> None:
    one, other = "how to fine tune a model using gpt 3 models", "how to fine tune a model using the terminal"
    assert find_pairs([Item("a", one, ""), Item("b", other, "")]) == []
    assert linked([Item("a", one, ""), Item("b", f"{one} please", "")]) == {("a", "b")}


def test_chinese_by_character() -> None:
    one = "微调以后模型一直重复输出同样的内容，请问如何解决这个问题？训练时损失正常，推理时却停不下来。"
    items = [
        Item("a", "", one),
        Item("b", "", one.replace("，", ", ") + "谢谢"),
        Item("c", "", "显存不足，无法加载模型，多卡训练时报错，请问需要多大显存才可以完成全量微调的任务呢？"),
    ]
    assert linked(items) == {("a", "b")}


def test_code_is_compared_like_prose() -> None:
    code = "\n".join(f"layer_{n} = nn.Linear({n * 7}, {n * 3}, bias={n % 2 == 0})" for n in range(30))
    other = "\n".join(f"trainer_{n}.step(loss_{n}, scale={n * 11})" for n in range(30))
    assert linked([Item("a", "x", code), Item("b", "y", "```python\n" + code + "\n```"), Item("c", "z", other)]) == {
        ("a", "b")
    }


def test_overlap_is_exact() -> None:
    texts = [("", prose(n % 7, 50 + n)) for n in range(40)]
    read = dedupe.read(texts)
    runs = read.runs[1]
    sets = [set(runs.hash[a:b].tolist()) for a, b in zip(runs.start[:-1], runs.start[1:], strict=True)]
    earlier, later = (np.array(x) for x in zip(*[(a, b) for b in range(40) for a in range(b)], strict=True))
    found = dedupe.overlap(runs, earlier, later)
    for a, b, jaccard, inside in zip(earlier, later, found.jaccard, found.inside, strict=True):
        both = len(sets[a] & sets[b])
        assert jaccard == pytest.approx(both / len(sets[a] | sets[b]))
        assert inside == pytest.approx(both / min(len(sets[a]), len(sets[b])))


def test_two_processes_give_the_same_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dedupe, "_ALONE", 0)
    items = crowd(5, 5_000)
    assert find_pairs(items, processes=2) == find_pairs(items)


def crowd(seed: int, count: int) -> list[Item]:
    """Posts with templates, copies, edits and wrappers, in a few communities."""
    rng = random.Random(seed)
    items: list[Item] = []
    for n in range(count):
        community = rng.choice(["o/a", "o/b", "r/x", ""])
        if items and rng.random() < 0.4:
            old = rng.choice(items)
            words = old.body.split()
            for _ in range(rng.randrange(4)):
                words[rng.randrange(len(words))] = rng.choice(WORDS)
            body = " ".join(words[: rng.choice([len(words), len(words) // 2 + 1])])
            title = rng.choice([old.title, prose(rng.randrange(50), 5)])
        else:
            body = (
                prose(len(community) + community.count("b"), 40) + " " if community.startswith("o/") else ""
            ) + prose(rng.randrange(10**6), rng.choice([5, 20, 60]))
            title = prose(rng.randrange(30), 5)
        items.append(Item(f"p{n}", title, body, community, str(rng.randrange(60))))
    return items


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), cuts=st.lists(st.integers(100, 299), min_size=1, max_size=3))
def test_a_refresh_gives_the_pairs_of_a_full_run(
    tmp_path_factory: pytest.TempPathFactory, seed: int, cuts: list[int]
) -> None:
    items = crowd(seed, 300)
    path = tmp_path_factory.mktemp("index") / "copies.db"
    edges = [*sorted(set(cuts)), len(items)]
    pairs = dedupe_index.build(path, items[: edges[0]])
    frozen = dedupe.freeze(items[: edges[0]], dedupe.read([(i.title, i.body) for i in items[: edges[0]]]))
    for low, high in pairwise(edges):
        pairs += dedupe_index.add(path, items[low:high])
    assert pairs == find_pairs(items, frozen)
    assert len(pairs) > 20


def test_a_post_that_the_index_knows_is_not_decided_again(tmp_path: Path) -> None:
    items = crowd(3, 120)
    path = tmp_path / "copies.db"
    dedupe_index.build(path, items[:100])
    dedupe_index.add(path, items[100:])
    assert dedupe_index.add(path, items) == []


def test_a_file_that_is_no_index_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "copies.db"
    path.write_text("no database at all, but long enough to be read as one" * 50)
    with pytest.raises(dedupe_index.CopiesIndexError, match="no index of copies"):
        dedupe_index.add(path, [Item("a", "", prose(1))])


def test_an_index_of_other_rules_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "copies.db"
    dedupe_index.build(path, crowd(1, 30))
    monkeypatch.setattr(dedupe_index, "VERSION", "another")
    with pytest.raises(dedupe_index.CopiesIndexError, match="--rebuild"):
        dedupe_index.add(path, [Item("a", "", prose(1))])
