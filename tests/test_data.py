"""The border: good lines come in whole; each fault of each file is one sentence that names file, line and field."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flywheel import data
from flywheel.faults import FaultsError
from tests.conftest import DataFolder
from tests.posts import coded, drawn


def faults_of(folder: Any) -> list[str]:
    with pytest.raises(FaultsError) as caught:
        data.read(folder)
    return [str(fault) for fault in caught.value.faults]


def test_a_good_line_comes_in_whole(data_folder: DataFolder) -> None:
    post = data.read(data_folder([coded(7, tool="TRL, peft", theme="overfitting", ask="bad", run=True)])).posts[0]
    assert (post.id, post.thread) == ("gh.someone.tuner.7", "gh.someone.tuner.7")
    assert (post.theme, post.phase, post.ask, post.run) == ("overfitting", "evaluate", "bad", True)
    assert (post.tool, post.model, post.place) == ("TRL", "Qwen", "github-trackers")
    assert (post.created, post.month, post.weight, post.corpus) == ("2025-03-04", "2025-03", 1.0, "public")


def test_population_row_names_its_archive_weight_and_place(data_folder: DataFolder) -> None:
    post = data.read(data_folder([drawn(3)])).posts[0]
    assert (post.archive, post.place, post.weight) == ("hf-hub-discussions", "hub", 1.25)


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"theme": "vibes"}, "theme", "not among the themes"),
        ({"also": ["vibes"]}, "also.0", "not among the themes"),
        ({"date": "2025-02-30"}, "date", "day"),
        ({"date": "yesterday"}, "date", "neither a day"),
        ({"date": None}, "", "date_of"),
        ({"gist": "word " * 30 + "word"}, "gist", "31 words, at most 30"),
        ({"gist": "x" * 1_000_00}, "gist", "at most 300"),
        ({"gist": "a\u202eb"}, "gist", "U+202E"),
        ({"gist": "a\u0000b"}, "gist", "U+0000"),
        ({"gist": "a\ud800b"}, "gist", ""),
        ({"gist": None}, "", "a signal needs one"),
        ({"url": "javascript:alert(1)"}, "url", "https://"),
        ({"url": "https://github.com/o/r/issues/1/"}, "url", "write it as"),
        ({"url": "https://evil.example/o/r/issues/1"}, "", "not on a host of github"),
        ({"source": "usenet"}, "source", "not among the sources"),
        ({"community": "no slash"}, "", "name of a repository"),
        ({"kind": "rant"}, "kind", "issue"),
        ({"frame": "population"}, "", "names its archive"),
        ({"theme": "overfitting"}, "", "second question"),
        ({"pain": False}, "", "has no theme"),
        ({"also": ["training-dynamics"]}, "", "repeats a theme"),
        ({"sure": "perhaps"}, "sure", "high"),
        ({"surprise": 1}, "surprise", "is not a field here"),
        ({"corpus": "platform"}, "", "tracker"),
        ({"weight": float("nan")}, "", "NaN"),
    ],
)
def test_a_bad_field_is_named(data_folder: DataFolder, change: dict[str, Any], field: str, words: str) -> None:
    said = faults_of(data_folder([coded(1), coded(2) | change]))
    assert len(said) == 1, said
    assert "signals/some.jsonl, line 2" in said[0]
    assert field in said[0]
    assert words in said[0]
    assert len(said[0]) < 500
    assert said[0].isprintable()


def test_all_faults_are_told_at_once(data_folder: DataFolder) -> None:
    broken = ["{", b"\xff\xfe", "[1]", '{"url": 1, "url": 2}', coded(5, theme="vibes", sure="perhaps")]
    said = faults_of(
        data_folder([coded(1), *broken, coded(1)], codings=[{"url": "https://x.org/", "reading": 1, "coder": "A"}])
    )
    lines = [line.split("line ")[1].split(":")[0] for line in said]
    assert lines == ["2", "3", "4", "5", "6", "6", "7", "1"]
    assert "stands already in" in said[6]
    assert "no post of signals/ has the url" in said[7]


def test_a_missing_field_and_a_missing_file_are_told(data_folder: DataFolder) -> None:
    row = coded(1)
    del row["theme"], row["coder"]
    folder = data_folder([row])
    (folder / "codings.jsonl").unlink()
    assert [line.rsplit("/", 1)[1] for line in faults_of(folder)] == [
        "some.jsonl, line 1: coder: is missing",
        "codings.jsonl: the file is missing",
    ]
    (folder / "places.yml").unlink()
    (folder / "themes.yml").write_text("x")
    (folder / "site.yml").write_text("title: [\n")
    said = faults_of(folder)
    assert any("places.yml: the file is missing" in line for line in said)
    assert any("site.yml, line 2: not YAML" in line for line in said)


def test_two_posts_under_one_id_stop_the_build(data_folder: DataFolder) -> None:
    same = coded(1, url="https://github.com/someone/tuner/pull/1", kind="pull_request")
    assert "gets the id gh.someone.tuner.1" in faults_of(data_folder([coded(1), same]))[0]


def test_an_undone_pair_is_not_folded(data_folder: DataFolder) -> None:
    pair = {"keep": coded(1)["url"], "drop": coded(2)["url"], "method": "exact", "similarity": 1.0}
    rows = [coded(1), coded(2)]
    assert [d.drop for d in data.read(data_folder(rows, duplicates=[pair])).duplicates] == ["gh.someone.tuner.2"]
    assert data.read(data_folder(rows, duplicates=[pair, pair | {"undo": True}])).duplicates == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"iterate": 0.3}, "do not add up to 1"),
        ({"relevance": 1.1}, "relevance"),
        ({"url": "https://github.com/someone/tuner/issues/99"}, "no post of signals/"),
    ],
)
def test_a_prediction_is_of_a_read_post_and_adds_up(
    data_folder: DataFolder, change: dict[str, Any], words: str
) -> None:
    row = {"url": coded(1)["url"], "relevance": 0.9, "train": 0.7, "evaluate": 0.2, "iterate": 0.1001}
    assert len(data.read(data_folder([coded(1)], predictions=[row])).predictions) == 1
    assert any(words in fault for fault in faults_of(data_folder([coded(1)], predictions=[row | change])))


def test_an_unknown_tool_passes_and_is_listed(data_folder: DataFolder) -> None:
    said = list(data.report(data.read(data_folder([coded(1, tool="handmade trainer")]))))
    assert any("tools.yml does not know: handmade trainer (1)" in line for line in said)


def test_a_source_and_a_theme_are_lines_of_yaml(data_folder: DataFolder) -> None:
    folder = data_folder(
        [coded(1, source="usenet", url="https://news.example.org/1", community="comp.ai", theme="vibes")]
    )
    with (folder / "sources.yml").open("a") as file:
        file.write(
            "- {slug: usenet, title: Usenet, hosts: [], community: '[a-z.]+', "
            "community_is: group, text: link, terms: Ours, licence: None}\n"
        )
    taxonomy = (folder / "taxonomy.yml").read_text()
    theme = (
        "themes:\n  - {slug: vibes, phase: train, title: Vibes, question: 'Why?', includes: All., excludes: None.}\n"
    )
    (folder / "taxonomy.yml").write_text(taxonomy.replace("themes:\n", theme, 1))
    assert data.read(folder).posts[0].theme == "vibes"


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(list(coded())), inner, max_size=4),
    max_leaves=6,
)


_CHANGES = st.lists(st.dictionaries(st.sampled_from(list(coded())), _JSON, min_size=1), min_size=8, max_size=8)


# Eight lines a folder, because reading its vocabulary takes longer than the lines.
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_CHANGES)
def test_wild_fields_are_faults_and_never_crashes(data_folder: DataFolder, changes: list[dict[str, Any]]) -> None:
    folder = data_folder([json.dumps(coded(number) | change) for number, change in enumerate(changes, 1)])
    try:
        data.read(folder)
    except FaultsError as error:
        assert {fault.line for fault in error.faults} <= set(range(1, 9))
