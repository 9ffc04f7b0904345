"""Imports: every format by hand-written rows, files that are broken in every way, and the command."""

import bz2
import gzip
import json
import lzma
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel.collect.border import Crossing
from flywheel.collect.commands import import_archive
from flywheel.collect.imports import read, shapes
from flywheel.collect.imports.run import ImportReport, import_path
from flywheel.collect.record import Gone, Record
from flywheel.collect.store import Store
from tests.collect.conftest import KEY, recording
from tests.collect.test_reddit import comment, listing, post

DAY = "2026-11-20"


class Bench:
    """A folder, a store, and what is in it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.path = folder, folder / "store.db"

    def write(self, *rows: Any, name: str = "dump.jsonl") -> Path:
        path = self.folder / name
        path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in rows), encoding="utf-8")
        return path

    def take(self, path: Path, source: str, day: str = DAY) -> ImportReport:
        with Store(self.path, KEY) as store:
            report = import_path(store, path, source, day)
        c = report.counts
        assert c.got == c.new + c.changed + c.same + c.gone + c.quarantined + c.unused + c.tombstoned
        assert sum(report.reasons.values()) == c.quarantined
        return report

    def rows(self, source: str, *rows: Any) -> ImportReport:
        return self.take(self.write(*rows), source)

    def table(self, name: str) -> list[dict[str, Any]]:
        with Store(self.path, KEY) as store:
            return [dict(row) for row in store.db.execute(f"SELECT * FROM {name}")]

    def items(self) -> dict[str, dict[str, Any]]:
        return {row["native_id"]: row for row in self.table("items")}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def crossed(source: str, *values: Any, head: dict[str, Any] | None = None) -> Crossing:
    crossing = Crossing()
    for n, value in enumerate(values, start=1):
        shapes.take(read.Row("f", n, value, head=head or {}), shapes.shapes_of(source), crossing)
    return crossing


def one(source: str, value: Any, head: dict[str, Any] | None = None) -> Record:
    crossing = crossed(source, value, head=head)
    assert [b.reason for b in crossing.broken] == []
    (record,) = crossing.records
    return record


# --- files ----------

ROWS = [{"url": f"https://forum.example.org/t/topic/{n}", "title": f"Títle {n}", "n_posts": "3"} for n in range(1, 8)]
PACKINGS: dict[str, Callable[[bytes], bytes]] = {
    "plain": lambda data: data,
    "gz": gzip.compress,
    "gz, two members": lambda data: gzip.compress(data[:50]) + gzip.compress(data[50:]),
    "zst": zstandard.compress,
    "zst, two frames": lambda data: zstandard.compress(data[:50]) + zstandard.compress(data[50:]),
    "bz2": bz2.compress,
    "xz": lzma.compress,
}
LAYOUTS: dict[str, Callable[[list[Any]], str]] = {
    "lines": lambda rows: "".join(json.dumps(r) + "\n" for r in rows),
    "lines, CRLF and blank ones": lambda rows: "\r\n\r\n".join(json.dumps(r, ensure_ascii=False) for r in rows),
    "lines after a byte order mark": lambda rows: "\ufeff" + "\n".join(json.dumps(r) for r in rows),
    "an array": json.dumps,
    "an array, indented": lambda rows: json.dumps(rows, indent=2),
    "an object with items": lambda rows: json.dumps({"count": len(rows), "items": rows, "next": None}),
    "the same, indented": lambda rows: json.dumps({"count": len(rows), "items": rows, "next": None}, indent=2),
}


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_same_rows_from_every_layout_and_packing(bench: Bench, packing: str, layout: str) -> None:
    path = bench.folder / "dump"
    path.write_bytes(PACKINGS[packing](LAYOUTS[layout](ROWS).encode()))
    report = bench.take(path, "discourse")
    assert (report.rows, report.counts.new, report.counts.quarantined) == (7, 7, 0)
    assert {row["title"] for row in bench.items().values()} == {f"Títle {n}" for n in range(1, 8)}
    assert {row["n_replies"] for row in bench.items().values()} == {2}


def test_a_single_object_is_one_row(bench: Bench) -> None:
    (bench.folder / "a.json").write_text(json.dumps(ROWS[0]))
    (bench.folder / "b.json").write_text(json.dumps(ROWS[1], indent=1))
    assert bench.take(bench.folder / "a.json", "discourse").counts.new == 1
    assert bench.take(bench.folder / "b.json", "discourse").counts.new == 1


def test_a_folder_is_read_file_by_file_in_order(bench: Bench) -> None:
    folder = bench.folder / "many" / "deep"
    folder.mkdir(parents=True)
    for n, row in enumerate(ROWS):
        (folder / f"{n}.json.gz").write_bytes(gzip.compress(json.dumps(row).encode()))
    (folder / "README.md").write_text("not data")
    report = bench.take(bench.folder / "many", "discourse")
    assert (report.files, report.counts.new) == (7, 7)


@pytest.mark.parametrize("packing", ["gz", "zst", "xz", "bz2"])
def test_a_file_cut_short_is_one_fault_that_names_it_and_keeps_what_came_before(bench: Bench, packing: str) -> None:
    lines = "".join(json.dumps({**row, "title": os.urandom(400).hex()}) + "\n" for row in ROWS * 300)
    packed = PACKINGS[packing](lines.encode())
    path = bench.folder / "cut"
    path.write_bytes(packed[: int(len(packed) * 0.9)])
    report = bench.take(path, "discourse")
    (fault,) = report.faults
    assert str(fault).startswith("cut, line ")
    assert "ends in the middle" in str(fault)
    if packing != "bz2":  # whose blocks of 900 kB hold the whole of it
        assert report.rows > 100


@pytest.mark.parametrize(
    ("start", "what"), [(b"PK\x03\x04zip", "zip archive"), (b"PAR1....", "Parquet"), (b"SQLite format 3\x00", "SQLite")]
)
def test_what_is_no_stream_of_json_is_refused_by_name(bench: Bench, start: bytes, what: str) -> None:
    path = bench.folder / "x"
    path.write_bytes(start + b"\x00" * 100)
    assert what in str(bench.take(path, "jsonl").faults[0])


def test_lines_that_are_not_json_are_set_aside_with_their_place(bench: Bench) -> None:
    bad = [
        '{"url": "https://forum.example.org/t/topic/8", "title": "bad \\uZZZZ", "author": "secretperson"}',
        "not json at all",
        '{"url": NaN}',
        "[1, 2]",
        '"text"',
        "[" * 200_000,
        '{"n": ' + "9" * 5000 + "}",
    ]
    report = bench.rows("discourse", ROWS[0], *bad, ROWS[1])
    assert (report.rows, report.counts.new, report.counts.quarantined) == (9, 2, 7)
    reasons = [row["reason"] for row in bench.table("quarantine")]
    assert sorted(r.split(":")[0] for r in reasons) == [f"dump.jsonl, line {n}" for n in range(2, 9)]
    assert any("Invalid" in r and "(column " in r for r in reasons)
    for file in bench.folder.glob("store.db*"):
        assert b"secretperson" not in file.read_bytes()


def test_bytes_that_are_not_utf8_are_set_aside(bench: Bench) -> None:
    path = bench.folder / "latin"
    path.write_bytes(
        json.dumps(ROWS[0]).encode()
        + b'\n{"url": "https://x.org/", "title": "caf\xe9"}\n'
        + json.dumps(ROWS[1]).encode()
    )
    report = bench.take(path, "discourse")
    assert (report.counts.new, report.counts.quarantined) == (2, 1)


def test_a_line_too_long_is_set_aside_and_the_next_one_read(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read, "LONGEST", 200_000)
    long = {**ROWS[0], "body": "x" * 900_000}
    report = bench.rows("discourse", ROWS[1], long, ROWS[2], long)
    assert (report.rows, report.counts.new, report.counts.quarantined) == (4, 2, 2)


def test_a_document_broken_in_the_middle_keeps_what_came_before(bench: Bench) -> None:
    path = bench.folder / "d.json"
    path.write_text(json.dumps({"items": ROWS})[:-60])
    report = bench.take(path, "discourse")
    assert report.counts.new == 6
    assert report.counts.quarantined == 1
    assert "not JSON after 6 items" in next(iter(report.reasons))


def test_an_empty_file_has_nothing_in_it(bench: Bench) -> None:
    path = bench.folder / "empty"
    path.write_bytes(b"")
    report = bench.take(path, "jsonl")
    assert (report.rows, report.faults) == (0, [])


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(),
            lambda c: st.lists(c) | st.dictionaries(st.text(), c),
            max_leaves=8,
        ),
        max_size=6,
    )
)
def test_whatever_the_rows_are_they_are_counted(tmp_path_factory: pytest.TempPathFactory, values: list[Any]) -> None:
    bench = Bench(tmp_path_factory.mktemp("wild"))
    for source in ("jsonl", "reddit", "discord"):
        report = bench.take(bench.write({"a": 1}, *map(json.dumps, values), {"b": 2}), source)
        assert report.rows == len(values) + 2
        assert report.counts.got >= report.rows - sum(isinstance(v, dict) for v in values)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_at_all_end_in_counts_or_one_fault(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    bench = Bench(tmp_path_factory.mktemp("bytes"))
    path = bench.folder / "noise"
    path.write_bytes(data)
    report = bench.take(path, "jsonl")
    assert report.counts.new == 0
    assert len(report.faults) <= 1


# --- twice, and over each other ----------


def test_a_second_import_writes_nothing(bench: Bench) -> None:
    path = bench.write(*ROWS, "broken", {**ROWS[0], "url": "https://forum.example.org/t/topic/99", "body": "[removed]"})
    first = bench.take(path, "discourse")
    assert (first.counts.new, first.counts.gone, first.counts.quarantined) == (7, 1, 1)
    before = bench.path.read_bytes()
    second = bench.take(path, "discourse")
    assert (second.counts.new, second.counts.changed, second.counts.same) == (0, 0, 7)
    assert not second.news
    assert bench.path.read_bytes() == before


def test_a_later_state_replaces_an_earlier_one_and_absence_says_nothing(bench: Bench) -> None:
    bench.rows("reddit", flat_post("1aa"), flat_post("1ab"), flat_post("1ac"))
    bench.rows(
        "reddit",
        flat_post("1aa", score=99, selftext="edited", edited=1_794_990_000),
        flat_post("1ac", selftext="[removed]"),
    )
    assert set(bench.items()) == {"t3_1aa", "t3_1ab"}
    assert (bench.items()["t3_1aa"]["score"], bench.items()["t3_1aa"]["body"]) == (99, "edited")


def test_a_removal_wins_over_every_later_archive(bench: Bench) -> None:
    bench.rows("reddit", flat_post("1aa", selftext="[deleted]", author="[deleted]"))
    report = bench.rows("reddit", flat_post("1aa"))
    assert (report.counts.new, report.counts.tombstoned) == (0, 1)
    by_url = {"url": "https://old.reddit.com/r/LocalLLaMA/comments/1aa/whatever/", "title": "still here", "body": "no"}
    assert bench.rows("jsonl", by_url).counts.tombstoned == 1
    assert bench.items() == {}


def test_a_post_known_by_its_url_keeps_the_name_it_is_held_under(bench: Bench) -> None:
    full = {**ISSUE, "id": 77, "node_id": "I_77", "updated_at": "2024-05-02T00:00:00Z"}
    bench.rows("github", full)
    bench.rows("github", {**ISSUE, "title": "Renamed"})
    assert set(bench.items()) == {"issue:77"}


def test_names_keys_and_mails_are_in_no_file(bench: Bench) -> None:
    secret = "hf_" + "aB3" * 12
    body = f"token = {secret} mail me at jo@example.org"
    bench.rows(
        "reddit",
        flat_post("1aa", author="a_very_own_name", selftext=body),
        {"id": "x", "author": "a_very_own_name", "body": body},
    )
    for file in bench.folder.glob("store.db*"):
        text = file.read_bytes()
        for hidden in (b"a_very_own_name", secret.encode(), b"jo@example.org"):
            assert hidden not in text


# --- reddit ----------


def flat_post(id: str, **more: Any) -> dict[str, Any]:
    data = dict(post(id)["data"])
    for name in ("subreddit", "name"):
        del data[name]
    return data | {"edited": False} | more


def test_reddit_flattened_and_old_dumps() -> None:
    record = one("reddit", flat_post("1aa", created_utc="1703101378", edited=1_703_200_000.0, score=5))
    assert (record.native_id, record.community, record.created) == ("t3_1aa", "r/LocalLLaMA", "2023-12-20T19:42:58Z")
    assert record.edited == "2023-12-21T23:06:40Z"
    flat = {k: v for k, v in comment("c9")["data"].items() if k not in ("subreddit", "name", "replies")}
    record = one("reddit", flat | {"body": "&gt; you said\n\nx &lt; y &amp;&amp; z"})
    assert (record.native_id, record.body) == ("t1_c9", "x < y && z")
    assert record.thread == "https://www.reddit.com/r/LocalLLaMA/comments/1abc/"
    assert record.url == "https://www.reddit.com/r/LocalLLaMA/comments/1abc/lora_finetuning/c9/"


def test_reddit_slugs_in_other_scripts() -> None:
    link = "/r/LocalLLaMA/comments/1abc/さらに/c9/"
    record = one("reddit", comment("c9", permalink=link)["data"])
    assert record.url == "https://www.reddit.com/r/LocalLLaMA/comments/1abc/%E3%81%95%E3%82%89%E3%81%AB/c9/"
    line = {"url": "https://reddit.com" + link, "body": "the same"}
    assert (one("reddit", line).url, one("reddit", line).native_id) == (record.url, "t1_c9")


def test_reddit_trees_of_the_api(bench: Bench) -> None:
    more = {"kind": "more", "data": {"id": "m", "children": ["zz"], "count": 1}}
    gone = comment("c3", author="[deleted]", body="[deleted]")
    tree = [listing(post()), listing(comment("c1", listing(comment("c2"), gone, more)))]
    path = bench.folder / "1abc.json"
    path.write_text(json.dumps(tree, indent=2))
    report = bench.take(path, "reddit")
    assert set(bench.items()) == {"t3_1abc", "t1_c1", "t1_c2"}
    assert (report.counts.got, report.counts.gone, report.counts.unused) == (5, 1, 1)


def test_reddit_trees_one_a_line(bench: Bench) -> None:
    trees = [[listing(post(f"1a{n}")), listing(comment(f"c{n}", link_id=f"t3_1a{n}"))] for n in range(3)]
    assert bench.rows("reddit", *trees).counts.new == 6


@pytest.mark.parametrize(
    ("author", "text", "why"),
    [
        ("[deleted]", "[deleted]", "deleted"),
        ("u/ann", "[removed]", "removed"),
        ("[deleted]", "[removed]", "removed"),
        ("u/[deleted]", "the text is still there", None),
    ],
)
def test_reddit_marks_in_lines_of_any_shape(author: str, text: str, why: str | None) -> None:
    line = {"url": "https://reddit.com/r/OpenAI/comments/1pv/x/", "title": "A title", "content": text, "author": author}
    crossing = crossed("reddit", line | {"published": "2025-12-25T00:06:54", "source": "r/OpenAI", "flair": []})
    if why:
        assert crossing.gone == [Gone(why, "t3_1pv", "https://www.reddit.com/r/OpenAI/comments/1pv/", "reddit")]  # type: ignore[arg-type]
    else:
        assert [(r.author, r.created) for r in crossing.records] == [(None, "2025-12-25T00:06:54Z")]


# --- discord ----------

HEAD = {
    "guild": {"id": "11", "name": "Tinker Users"},
    "channel": {"id": "22", "type": "GuildTextChat", "categoryId": "5", "category": "Help", "name": "general help"},
}
FORUM = {
    "guild": {"id": "11", "name": "Tinker Users"},
    "channel": {"id": "33", "type": "GuildPublicThread", "category": "questions", "name": "Resume from a checkpoint?"},
}


def said(id: str, **more: Any) -> dict[str, Any]:
    author = {"id": "900", "name": "ann", "discriminator": "0000", "nickname": "Ann", "isBot": False}
    return {
        "id": id, "type": "Default", "timestamp": "2026-11-01T10:00:00.5+02:00", "timestampEdited": None,
        "content": "How do I <:party:123> resume? <@900> knows", "author": author, "reactions": [],
    } | more  # fmt: skip


def test_discord_channel_messages_stand_alone() -> None:
    record = one("discord", said("44"), HEAD)
    assert record.url == "https://discord.com/channels/11/22/44"
    assert (record.kind, record.community, record.thread) == ("comment", "tinker-users/general-help", None)
    assert (record.created, record.author) == ("2026-11-01T08:00:00Z", "900")
    assert record.body == "How do I :party: resume? @someone knows"


def test_discord_threads_have_an_opening_with_their_name() -> None:
    opening, reply = crossed("discord", said("33"), said("44", type="Reply"), head=FORUM).records
    assert (opening.kind, opening.title) == ("post", "Resume from a checkpoint?")
    assert (reply.kind, reply.title) == ("comment", None)
    assert opening.thread == reply.thread == "https://discord.com/channels/11/33/33"


def test_discord_bots_notices_and_pictures_are_passed_over_and_gone_people_have_no_name() -> None:
    bot = said("1", author={"id": "1", "name": "MEE6", "isBot": True})
    crossing = crossed(
        "discord", bot, said("2", type="GuildMemberJoin"), said("3", content=""),
        said("4", author={"id": "5", "name": "Deleted User"}), said("no number"), head=HEAD,
    )  # fmt: skip
    assert (crossing.unused, len(crossing.broken)) == (3, 1)
    assert [r.author for r in crossing.records] == [None]


def test_discord_direct_messages_are_not_stored(bench: Bench) -> None:
    path = bench.folder / "dm.json"
    private = {
        "guild": {"id": "0", "name": "Direct Messages"},
        "channel": {"id": "7", "type": "DirectTextChat", "name": "bob"},
    }
    path.write_text(json.dumps(private | {"messages": [said("1"), said("2")], "messageCount": 2}))
    report = bench.take(path, "discord")
    assert (report.counts.unused, bench.items(), bench.table("quarantine")) == (2, {}, [])


def test_discord_export_is_streamed_and_a_message_twice_is_one(bench: Bench) -> None:
    path = bench.folder / "export.json"
    path.write_text(
        json.dumps(HEAD | {"dateRange": {}, "messages": [said("1"), said("1"), said("2")], "messageCount": 3}, indent=2)
    )
    report = bench.take(path, "discord")
    assert (report.rows, report.counts.new, report.counts.same) == (3, 2, 1)


BLOCK = """# Thread 'How to tune?' in forum #ask-here
# thread_id=100 forum_id=7
# Started 2026-05-10T19:50:55.483255+00:00

[2024-12-10T20:21:50.145000+00:00] ann_b (id=100)
    My adapter is ignored.

    [2024] is what I set
    [attachment] loss.png https://cdn.example.org/loss.png?ex=1

[2024-12-11T00:00:00+00:00] odd] name (id=1) (id=101)
    [reply to ann_b msg=100]
    Merge it first.

[2024-12-12T00:00:00+00:00] ann_b (id=102)
    [sticker] thanks
"""


def test_discord_text_blocks() -> None:
    crossing = crossed("discord", {"file": "a.txt", "text": BLOCK}, {"file": "b.txt", "text": "no header"})
    first, second = crossing.records
    assert first.body == "My adapter is ignored.\n\n[2024] is what I set"
    assert (first.title, first.kind, first.native_id) == ("How to tune?", "post", "100")
    assert (second.body, second.author, second.thread) == ("Merge it first.", "odd] name (id=1)", first.url)
    assert (crossing.unused, len(crossing.broken)) == (1, 1)


# --- hub, github, hacker news, stack exchange ----------

DISCUSSION = {
    "id": "org/model#3", "repo_id": "org/model", "num": 3, "url": "https://huggingface.co/org/model/discussions/3",
    "title": "Fine-tuning script?", "status": "open", "author": "ann", "created_at": "2023-04-12 04:42:03+00:00",
    "body": "Is there one?",
    "comments": [
        {"id": "643788b63cb6c4b5707c2445", "author": "deleted", "created_at": "2023-04-13 03:44:38+00:00",
         "content": "Yes"},
        {"id": "643788b63cb6c4b5707c2446", "author": "bob", "created_at": "2023-04-14 03:44:38+00:00",
         "content": "This comment has been hidden"},
        {"id": "643788b63cb6c4b5707c2447", "author": "bob", "created_at": "2023-04-14 03:44:38+00:00",
         "content": "> Yes"},
        {"id": "643788b63cb6c4b5707c2448", "author": "bob", "content": "no time"},
    ],
}  # fmt: skip


def test_hub_discussions_with_their_comments() -> None:
    crossing = crossed("hf_hub", DISCUSSION)
    opening, reply = crossing.records
    assert (opening.native_id, opening.kind, opening.n_replies) == ("model:org/model#3", "discussion", 4)
    assert (opening.state, opening.created, opening.community) == ("open", "2023-04-12T04:42:03Z", "org/model")
    assert reply.url == f"{opening.url}#643788b63cb6c4b5707c2445"
    assert (reply.author, reply.thread) == (None, opening.url)
    assert [(g.why, g.native_id) for g in crossing.gone] == [("removed", "comment:643788b63cb6c4b5707c2446")]
    assert crossing.unused == 1
    assert [b.reason for b in crossing.broken] == ["created_at: Field required"]


def test_a_hidden_opening_keeps_its_title_alone() -> None:
    record = one("hf_hub", DISCUSSION | {"body": "This comment has been hidden", "comments": []})
    assert (record.title, record.body) == ("Fine-tuning script?", None)


def test_hub_comments_have_addresses_and_ids_of_their_own(bench: Bench) -> None:
    bench.rows("hf_hub", DISCUSSION)
    assert set(bench.items()) == {"model:org/model#3", "comment:643788b63cb6c4b5707c2445"}
    assert [row["id"] for row in bench.table("tombstones")] == ["hf.org.model.3.643788b63cb6c4b5707c2446"]


ISSUE: dict[str, Any] = {
    "number": 12, "title": "LoRA fails", "body": "It fails\r\n```\nlog\n```", "labels": ["bug"], "state": "closed",
    "created_at": "2023-03-10T21:33:07+00:00", "closed_at": None, "comments": 4, "reactions": {"total_count": 2},
    "author_association": "NONE", "html_url": "https://github.com/ggml-org/llama.cpp/issues/12",
}  # fmt: skip


def test_github_issues_flattened_and_in_full() -> None:
    flat = one("github", ISSUE)
    assert flat.native_id == "url:https://github.com/ggml-org/llama.cpp/issues/12"
    assert (flat.community, flat.n_replies, flat.score, flat.state) == ("ggml-org/llama.cpp", 4, 2, "closed")
    assert flat.edited is None
    full = one(
        "github", ISSUE | {"id": 9, "user": {"login": "ann", "type": "User"}, "updated_at": "2023-04-01T00:00:00Z"}
    )
    assert (full.native_id, full.author, full.edited) == ("issue:9", "ann", "2023-04-01T00:00:00Z")
    bot = crossed(
        "github", ISSUE | {"id": 9, "user": {"login": "x[bot]", "type": "Bot"}, "updated_at": "2023-04-01T00:00:00Z"}
    )
    assert (bot.records, bot.unused) == ([], 1)
    reply = {
        "id": 5,
        "html_url": ISSUE["html_url"] + "#issuecomment-5",
        "issue_url": "x",
        "body": "same",
        "created_at": "2023-04-01T00:00:00Z",
    }
    assert one("github", reply).native_id == "comment:5"


def test_hackernews_stories_and_hits() -> None:
    story = {
        "id": 7,
        "title": "A &amp; B",
        "text": "x &lt; y<p>second",
        "score": 3,
        "author": "ann",
        "time": 1_715_621_280,
        "type": "story",
    }
    record = one("hackernews", story | {"url": None})
    assert (record.native_id, record.title, record.body) == ("7", "A & B", "x < y\n\nsecond")
    assert record.author == "ann"
    assert crossed("hackernews", story | {"deleted": True}).gone[0].native_id == "7"
    hit = {"objectID": "8", "created_at_i": 1_715_621_280, "_tags": ["comment"], "comment_text": "hm", "story_id": 7}
    assert one("hackernews", hit).thread == "https://news.ycombinator.com/item?id=7"


def test_stackexchange_questions_with_their_answers() -> None:
    question = {
        "question_id": 5, "link": "https://stackoverflow.com/questions/5/x", "title": "A", "body": "<p>b</p>",
        "creation_date": 1_715_621_280, "answers": [
            {"answer_id": 6, "question_id": 5, "creation_date": 1_715_621_281, "body": "<p>c</p>"}],
    }  # fmt: skip
    assert [r.native_id for r in crossed("stackoverflow", question).records] == [
        "stackoverflow.com:5",
        "stackoverflow.com:6",
    ]


# --- the documented line ----------


@pytest.mark.parametrize(
    ("line", "source", "native_id", "kind", "community"),
    [
        ({"url": "https://www.reddit.com/r/a/comments/1x/t/"}, "reddit", "t3_1x", "post", "r/a"),
        ({"url": "https://github.com/a/b/issues/3"}, "github", "url:https://github.com/a/b/issues/3", "issue", "a/b"),
        (
            {"url": "https://github.com/a/b/pull/3"},
            "github",
            "url:https://github.com/a/b/pull/3",
            "pull_request",
            "a/b",
        ),
        ({"url": "https://github.com/a/b/issues/3#issuecomment-9"}, "github", "comment:9", "comment", "a/b"),
        ({"url": "https://huggingface.co/a/b/discussions/3"}, "hf_hub", "model:a/b#3", "discussion", "a/b"),
        ({"url": "https://huggingface.co/gpt2/discussions/3"}, "hf_hub", "model:gpt2#3", "discussion", "gpt2"),
        ({"url": "https://huggingface.co/datasets/a/b/discussions/3"}, "hf_hub", "dataset:a/b#3", "discussion", "a/b"),
        ({"url": "https://news.ycombinator.com/item?id=3"}, "hackernews", "3", "post", "news.ycombinator.com"),
        (
            {"url": "https://stackoverflow.com/questions/3/slug"},
            "stackoverflow",
            "stackoverflow.com:3",
            "question",
            "stackoverflow.com",
        ),
        (
            {"url": "https://discuss.huggingface.co/t/a/3"},
            "hf_forum",
            "url:https://discuss.huggingface.co/t/a/3",
            "post",
            "discuss.huggingface.co",
        ),
        (
            {"url": "https://community.openai.com/t/a/3/2"},
            "discourse",
            "url:https://community.openai.com/t/a/3/2",
            "comment",
            "community.openai.com",
        ),
        (
            {"url": "https://blog.example.org/x", "source": "blog"},
            "blog",
            "url:https://blog.example.org/x",
            "post",
            "blog.example.org",
        ),
        ({"url": "https://x.example.org/chat", "id": 5}, "forum", "x.example.org:5", "post", "x.example.org"),
    ],
)
def test_a_line_is_known_by_its_url(
    line: dict[str, Any], source: str, native_id: str, kind: str, community: str
) -> None:
    record = one("jsonl", line | {"title": "A title"})
    assert (record.source, record.native_id, record.kind, record.community) == (source, native_id, kind, community)


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ({"created": "2024-05"}, "2024-05"),
        ({"month": "2021-05"}, "2021-05"),
        ({"date": "2024-05-06"}, "2024-05-06"),
        ({"date": "2024-05-06 04:42:03+02:00"}, "2024-05-06T02:42:03Z"),
        ({"date": 1_737_991_440}, "2025-01-27T15:24:00Z"),
        ({"date": 1_737_991_440_000}, "2025-01-27T15:24:00Z"),
        ({"created_utc": "1737991440"}, "2025-01-27T15:24:00Z"),
        ({"published": "2023-06-12T21:02:00.000Z"}, "2023-06-12T21:02:00Z"),
        ({"date": None}, None),
        ({}, None),
    ],
)
def test_times_of_every_kind(given: dict[str, Any], stored: str | None) -> None:
    assert one("forum", {"url": "https://x.example.org/1", "title": "A"} | given).created == stored


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ({"url": "https://x.example.org/1", "title": "A", "date": "yesterday"}, "date: "),
        ({"url": "https://x.example.org/1", "title": "A", "date": "2024-13"}, "date: "),
        ({"url": "https://x.example.org/1", "title": "A", "date": 1e30}, "date: "),
        ({"url": "https://x.example.org/1", "title": "A", "score": "many"}, "score"),
        ({"url": "https://x.example.org/1"}, "neither title nor body"),
        ({"url": "javascript:alert(1)", "title": "A"}, "url starts with https://"),
        ({"url": "https://x.example.org/a b", "title": "A"}, "no blanks"),
        ({"title": "A"}, "no shape fits its fields: title"),
    ],
)
def test_a_bad_line_is_set_aside_with_the_field_named(line: dict[str, Any], reason: str) -> None:
    (broken,) = crossed("forum", line).broken
    assert reason in broken.reason


def test_a_line_of_another_source_is_not_taken_for_this_one() -> None:
    (broken,) = crossed("reddit", {"url": "https://github.com/a/b/issues/3", "title": "A"}).broken
    assert broken.reason == "url: a post of github, not of reddit"


def test_html_is_read_as_html_where_it_is() -> None:
    line = {"url": "https://news.ycombinator.com/item?id=3", "title": "A", "body": "one<p>two &amp; three"}
    assert one("jsonl", line).body == "one\n\ntwo & three"
    marked = {"url": "https://x.example.org/1", "title": "A", "body": "<b>bold</b>", "markup": "html"}
    assert one("forum", marked).body == "bold"
    assert one("forum", marked | {"markup": None}).body == "<b>bold</b>"


# --- the command ----------


def run_command(folder: Path, *args: str) -> Any:
    (folder / "data").mkdir(exist_ok=True)
    return CliRunner().invoke(
        import_archive, [*args, "--store", str(folder / "store.db"), "--data", str(folder / "data")]
    )


@pytest.fixture
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FLYWHEEL_AUTHOR_KEY", KEY.decode())
    return Bench(tmp_path)


def test_the_command_reports_what_came_of_it(in_folder: Bench) -> None:
    path = in_folder.write(*ROWS, "broken")
    done = run_command(
        in_folder.folder, str(path), "--source", "discourse", "--report", str(in_folder.folder / "r.json")
    )
    assert done.exit_code == 0, done.output
    assert "1 file, 8 rows, 8 posts: new 7" in done.output
    assert "quarantined 1: not JSON" in done.output and "dump.jsonl, line 8" in done.output
    assert json.loads((in_folder.folder / "r.json").read_text())["counts"]["new"] == 7
    assert len(in_folder.table("runs")) == 1


def test_the_command_names_the_sources_there_are(in_folder: Bench) -> None:
    done = run_command(in_folder.folder, str(in_folder.write()), "--source", "nowhere")
    assert done.exit_code == 2
    assert "reddit" in done.output and "jsonl" in done.output


def test_the_command_fails_on_a_file_cut_short(in_folder: Bench) -> None:
    path = in_folder.folder / "cut.gz"
    path.write_bytes(gzip.compress(json.dumps(ROWS[0]).encode())[:-6])
    done = run_command(in_folder.folder, str(path), "--source", "discourse")
    assert done.exit_code == 1
    assert "cut.gz, line" in done.output


def test_a_removed_post_that_data_name_gets_a_public_tombstone_and_no_other_does(in_folder: Bench) -> None:
    signals = in_folder.folder / "data" / "signals"
    signals.mkdir(parents=True)
    url = "https://www.reddit.com/r/LocalLLaMA/comments/1aa/"
    (signals / "a.jsonl").write_text(json.dumps({"url": url}) + "\n")
    path = in_folder.write(flat_post("1aa", selftext="[removed]"), flat_post("1ab", selftext="[removed]"))
    assert run_command(in_folder.folder, str(path), "--source", "reddit").exit_code == 0
    lines = (in_folder.folder / "data" / "tombstones.jsonl").read_text().splitlines()
    assert [(json.loads(line)["id"], json.loads(line)["reason"]) for line in lines] == [("rd.1aa", "removed")]
    assert len(in_folder.table("tombstones")) == 2


def test_a_public_tombstone_keeps_a_post_out(in_folder: Bench) -> None:
    (in_folder.folder / "data").mkdir()
    (in_folder.folder / "data" / "tombstones.jsonl").write_text(
        '{"id": "rd.1aa", "month": "2026-11", "reason": "request"}\n'
    )
    run_command(in_folder.folder, str(in_folder.write(flat_post("1aa"), flat_post("1ab"))), "--source", "reddit")
    assert set(in_folder.items()) == {"t3_1ab"}


# --- recordings ----------


def test_recorded_discord_exports(bench: Bench) -> None:
    recording("discord/SV_5A_5M.json")
    from tests.collect.conftest import FIXTURES

    server = bench.take(FIXTURES / "discord" / "SV_5A_5M.json", "discord")
    assert (server.rows, server.counts.new, server.counts.same) == (5, 4, 1)
    private = bench.take(FIXTURES / "discord" / "DM_2A_2M.json", "discord")
    assert private.counts.unused == private.rows > 0
