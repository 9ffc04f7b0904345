"""Relevance and tagging: features, training, the model's files, the commands, and what bad input leads to."""

from __future__ import annotations

import csv
import gzip
import json
import pickle
import random
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from click.testing import CliRunner
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import average_precision_score, f1_score

from flywheel import (
    archive_texts,
    data,
    dedupe,
    evaluate,
    features,
    relevance,
    tag,
    tagging_commands,
    train,
    vocabulary,
)
from flywheel.features import Text
from flywheel.signal import Post
from flywheel.tag import Model
from flywheel.train import Trained
from flywheel.vocabulary import Vocabulary
from tests.posts import drawn

THEMES = {
    "memory-hardware": "gpu memory cuda offload shards vram allocation",
    "data-preparation": "dataset template format tokens masking rows columns",
    "output-defects": "repeats gibberish endless answer garbage stops wrong",
    "did-it-get-better": "metric better baseline score evaluate compare judge",
    "continual-updates": "second stage again later update newer continue",
}
NOISE = [
    "post",
    "today",
    "people",
    "think",
    "house",
    "garden",
    "weather",
    "table",
    "street",
    "music",
    "window",
    "river",
    "paper",
    "model",
]
SIGNALS = ["fine", "tuning", "my", "model", "with", "lora", "i", "tried"]
OTHERS = ["released", "image", "styles", "for", "everyone", "lora", "pack"]


@pytest.fixture(scope="session")
def words(root: Path) -> Vocabulary:
    return vocabulary.read(root / "data")


def made_up(count: int = 240, seed: int = 1) -> tuple[list[Post], dict[str, tuple[str, str]]]:
    """Read posts of made-up words: half signals, of five themes, one of them with three posts only."""
    rng = random.Random(seed)
    posts, texts = [], {}
    names = list(THEMES)
    for n in range(count):
        url = f"https://huggingface.co/someone/model-{n % 9}/discussions/{n}"
        pain = n % 2 == 0
        theme = names[4] if n in (10, 20, 30) else names[(n // 2) % 4]
        post = Post(
            url=url,
            id=f"hf.someone.model-{n % 9}.{n}",
            thread=f"hf.thread.{n - n % 3 if n < 60 else n}",
            source="hf_hub",
            community=f"someone/model-{n % 9}",
            kind="discussion",
            frame="population",
            verdict="signal" if pain else "not_a_signal",
            seen="opening",
            sure="high" if n % 5 else "low",
            coder="A",
            theme=theme if pain else None,
            phase=None,
            also=(names[(n // 2 + 1) % 4],) if pain and n % 3 == 0 else (),
            ask=("bad", "judge", "next")[n % 3] if pain and theme in names[2:] else None,
            gist="The writer meets trouble: " + " ".join(rng.choices(THEMES[theme].split(), k=4)) + "."
            if pain
            else None,
            archive="hf-hub-discussions",
            place="hub" if n % 3 else "reddit",
            author=n % 100,
        )
        own = THEMES[theme].split() if pain else OTHERS
        said = rng.choices(own, k=8) + rng.choices(SIGNALS if pain else OTHERS, k=8) + rng.choices(NOISE, k=14)
        rng.shuffle(said)
        texts[url] = (" ".join(rng.choices(own, k=4)), "fine-tuning " + " ".join(said))
        posts.append(post)
    return posts, texts


@pytest.fixture
def few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Intervals from 10 draws in place of 300: these tests ask that they are there, and the draws take their time."""
    monkeypatch.setattr(evaluate, "REPEATS", 10)


@pytest.fixture(scope="session")
def trained(words: Vocabulary) -> Trained:
    return train.train(*made_up(), words)


@pytest.fixture
def project(tmp_path: Path, trained: Trained) -> Path:
    tag.save(trained.model, tmp_path / "data" / "tagger")
    return tmp_path


def run(command: click.Command, root: Path, *arguments: Any) -> Any:
    return CliRunner().invoke(command, [str(a) for a in arguments], obj=root, catch_exceptions=False)


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


# What a row of features is


def test_words_and_grams_are_the_tfidf_of_scikit_learn() -> None:
    rng = random.Random(0)
    texts = [Text("", " ".join(rng.choices([*NOISE, *SIGNALS, "don", "a"], k=rng.randrange(1, 40)))) for _ in range(80)]
    columns = features.learn(texts)
    plain = [text.body for text in texts]
    matrix = columns.matrix(texts).tocsc()
    cut = len(columns.names["words"]) + len(columns.names["pairs"])
    wanted = {
        (0, cut): TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"\S+", min_df=5, sublinear_tf=True),
        (cut, cut + len(columns.names["grams"])): TfidfVectorizer(
            analyzer="char_wb", ngram_range=(3, 5), min_df=5, sublinear_tf=True
        ),
    }
    names = columns.column_names()
    for (low, high), vectorizer in wanted.items():
        expected = vectorizer.fit_transform(plain).tocsc()
        order = [vectorizer.vocabulary_[name] for name in names[low:high]]
        assert len(order) == expected.shape[1]
        np.testing.assert_allclose(matrix[:, low:high].toarray(), expected[:, order].toarray(), atol=1e-9)


def test_nothing_is_kept_that_fewer_than_five_posts_hold(trained: Trained) -> None:
    _, texts = made_up()
    held = Counter(word for title, body in texts.values() for word in set(f"{title} {body}".replace("-", " ").split()))
    kept = trained.model.features.names["words"]
    assert set(kept) == {word for word, count in held.items() if count >= features.LEAST_POSTS}


def test_a_row_depends_on_its_post_alone(trained: Trained) -> None:
    texts = [example.text for example in trained.raw[:40]]
    whole = tag.tag(trained.model, texts)
    for n in (0, 7, 39):
        alone = tag.tag(trained.model, [texts[n]])
        np.testing.assert_allclose(alone.themes[0], whole.themes[n], atol=1e-6)
        assert alone.relevance[0] == pytest.approx(whole.relevance[n], abs=1e-6)


def test_a_model_and_its_functions_can_be_sent_to_another_process(trained: Trained) -> None:
    work = pickle.loads(pickle.dumps((tag.tag, trained.model)))  # noqa: S301 - our own object
    again = work[0](work[1], [Text("a", "fine-tuning gpu memory")])
    assert again.theme.tolist() == tag.tag(trained.model, [Text("a", "fine-tuning gpu memory")]).theme.tolist()


# Relevance


def test_the_rule_lets_tuning_words_and_tuning_communities_through() -> None:
    texts = [
        Text("How to fine-tune?", ""),
        Text("", "my QLoRA run"),
        Text("", "微调后"),
        Text("Button is blue", "in the toolbar", "owner/app"),
        Text("Crash at start", "", "unslothai/unsloth"),
        Text("Opportune moment", "for fortune and floral things"),
    ]
    assert relevance.may_be(texts).tolist() == [True, True, True, False, True, False]


def test_what_fails_the_rule_has_no_relevance(trained: Trained) -> None:
    assert tag.tag(trained.model, [Text("gpu memory", "cuda offload i tried my model")]).relevance.tolist() == [0.0]


# Learning


def test_groups_join_threads_authors_and_near_copies() -> None:
    posts, texts = made_up(60)
    posts[50] = replace(posts[50], author=None, thread="own")
    texts[posts[50].url] = texts[posts[1].url]
    raw = train.examples(posts, texts)
    raw = [example for example in raw if example.of is None]
    grouped = train.groups(raw)
    assert grouped[0] == grouped[1] == grouped[2] == grouped[50]
    assert len(set(grouped.tolist())) > 10


def test_a_group_is_never_parted(trained: Trained) -> None:
    for group in set(trained.groups.tolist()):
        assert len(set(trained.fold[trained.groups == group].tolist())) == 1
    assert len(set(trained.fold.tolist())) == train.FOLDS


def test_no_score_of_a_post_comes_from_its_own_label(trained: Trained) -> None:
    table, fold = trained.table, trained.fold
    n = 42
    changed = replace(table, verdict=table.verdict.copy(), theme=table.theme.copy())
    same_group = np.flatnonzero(trained.groups == trained.groups[n])
    changed.verdict[same_group] = np.where(changed.verdict[same_group] == 0, 1, 0)
    own = np.isin(table.of, same_group)
    changed.theme[own & (changed.theme >= 0)] = 0
    before, after = trained.scores, train.cross_fit(changed, fold)
    np.testing.assert_allclose(after.relevance[n], before.relevance[n], atol=1e-6)
    np.testing.assert_allclose(after.theme[n], before.theme[n], atol=1e-5)


def test_made_up_themes_are_learned_and_probabilities_are_calibrated(trained: Trained, words: Vocabulary) -> None:
    found = evaluate.judged(trained, trained.probabilities, trained.priors, words)
    rows = {(row.task, row.subject, row.measure, row.seen): row for row in evaluate.relevance_rows(found)}
    assert rows["relevance", "signal", "average precision", "all"].value > 0.95
    themed = found.true_theme >= 0
    assert f1_score(found.true_theme[themed], found.theme[themed], average="micro") > 0.8
    np.testing.assert_allclose(trained.probabilities.themes.sum(axis=1), 1)


def test_a_theme_with_fewer_examples_than_folds_is_learned_and_one_with_none_is_never_said(trained: Trained) -> None:
    rare = trained.table.themes.index("continual-updates")
    never = trained.table.themes.index("automation-sweeps")
    texts = [Text("second stage later", "fine-tuning again newer update continue later second stage")]
    said = tag.tag(trained.model, texts)
    assert said.theme[0] == rare
    assert said.themes[0, never] < 0.01


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda posts, texts: (posts, {}), "have their text at hand"),
        (lambda posts, texts: ([], {}), "have their text at hand"),
        (lambda posts, texts: ([p for p in posts if p.verdict == "signal"], texts), "not both signals and others"),
        (
            lambda posts, texts: (posts, dict.fromkeys(texts, ("fine-tuning", "the same text in every post"))),
            "one thread",
        ),
    ],
)
def test_too_little_to_learn_from_is_said_in_one_sentence(change: Any, message: str, words: Vocabulary) -> None:
    with pytest.raises(train.TrainingError, match=message):
        posts, texts = change(*made_up())
        train.train(posts, texts, words)


def test_training_twice_gives_the_same_probabilities(trained: Trained, words: Vocabulary) -> None:
    again = train.train(*made_up(), words)
    np.testing.assert_allclose(again.probabilities.themes, trained.probabilities.themes, atol=1e-9)
    assert again.model.version == trained.model.version


# Measuring


def test_figures_agree_with_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    labels, chosen = rng.integers(0, 4, 300), rng.integers(0, 4, 300)
    ones = np.ones(300)
    expected = f1_score(labels, chosen, average="macro")
    assert evaluate.macro_f1(labels, chosen, range(4), 4)(ones) == pytest.approx(expected)
    for which, f1 in enumerate(f1_score(labels, chosen, average=None)):
        assert evaluate.precision_recall_f1(labels, chosen, which, 4)["f1"](ones) == pytest.approx(f1)
    scores = rng.random(300)
    relevant = (scores + rng.random(300) > 1).astype(int)
    found = evaluate.average_precision(relevant, scores)(ones)
    assert found == pytest.approx(average_precision_score(relevant, scores))


def test_calibration_error_is_nought_for_honest_bins_and_the_gap_for_boasts() -> None:
    held = np.array([True] * 30 + [False] * 70)
    assert evaluate.calibration_error(np.full(100, 0.3), held)(np.ones(100)) == pytest.approx(0)
    assert evaluate.calibration_error(np.full(100, 0.9), held)(np.ones(100)) == pytest.approx(0.6)


def test_an_interval_of_few_large_groups_is_wider() -> None:
    rng = np.random.default_rng(1)
    labels = np.repeat(rng.integers(0, 2, 40), 10)
    chosen = np.where(rng.random(400) < 0.8, labels, 1 - labels)
    metric = evaluate.macro_f1(labels, chosen, (0, 1), 2)
    _, low, high = evaluate.with_interval(metric, np.arange(400))
    value, low_grouped, high_grouped = evaluate.with_interval(metric, np.arange(400) // 100)
    assert low < value < high
    assert high_grouped - low_grouped != pytest.approx(high - low, abs=1e-6)


@pytest.mark.usefixtures("few_draws")
def test_the_report_names_what_how_and_on_how_many(trained: Trained, words: Vocabulary) -> None:
    rows = [row.line() for row in evaluate.report(trained, words)]
    assert {"relevance", "theme", "phase", "ask"} == {row["task"] for row in rows}
    splits = ("", ", community not told", ", fewer posts")
    assert {f"five folds{split}" for split in splits} | {"a place never seen"} == {row["how"] for row in rows}
    confusion = [r for r in rows if r["measure"] == "confusion" and r["task"] == "theme"]
    assert sum(row["value"] for row in confusion) == sum(p.theme is not None for p in made_up()[0])
    json.dumps(rows, allow_nan=False)


def test_what_is_said_is_chosen_as_it_was_measured(trained: Trained, words: Vocabulary) -> None:
    texts = [example.text for example in trained.raw]
    rows = tag.rows(trained.model, list(range(len(texts))), texts)
    said = tag.tag(trained.model, texts)
    same = train.Probabilities(said.relevance, said.relevance, said.themes, said.asks)
    found = evaluate.judged(trained, same, trained.model.priors, words)
    assert [row["theme"] for row in rows] == [found.themes_of[n] for n in found.theme]
    assert [row["phase"] for row in rows] == [found.phases_of[n] for n in found.phase]


# The model's files


def test_a_saved_model_says_the_same_and_holds_no_pickle(project: Path, trained: Trained) -> None:
    loaded = tag.load(project / "data" / "tagger")
    texts = [example.text for example in trained.raw]
    np.testing.assert_allclose(tag.tag(loaded, texts).themes, tag.tag(trained.model, texts).themes, atol=2e-3)
    with np.load(project / "data" / "tagger" / tag.WEIGHTS, allow_pickle=False) as stored:
        assert all(stored[name].dtype.kind == "f" for name in stored.files)


@pytest.mark.parametrize("broken", ["weights.npz", "vocabulary.json"])
def test_a_model_that_is_missing_or_broken_is_refused_in_one_sentence(project: Path, broken: str) -> None:
    path = project / "data" / "tagger" / broken
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(tag.ModelError, match="cannot be used"):
        tag.load(path.parent)
    path.unlink()
    with pytest.raises(tag.ModelError, match="flywheel train"):
        tag.load(path.parent)


# The commands


ODD = [
    "",
    "word",
    "\x00\x01\ud800",
    "\u202etxet\u202c",
    "Ã©Ã¨ â€œfine-tuning",
    "微调 " * 50,
    "lora " * 1_000_000,
    "<" * 10_000,
]


def test_classify_keeps_order_and_loses_nothing(project: Path) -> None:
    posts: Sequence[dict[str, Any]] = [
        *({"id": f"odd {n}", "title": None, "body": text, "more": 1} for n, text in enumerate(ODD)),
        {
            "id": 7,
            "title": "gpu memory",
            "body": "fine-tuning my model i tried lora cuda",
            "community": "someone/model-1",
        },
        {"id": "twice", "title": "x"},
        {"id": "twice", "title": "x"},
    ]
    source, out = project / "in.jsonl", project / "out.jsonl"
    source.write_text("\n".join(map(json.dumps, posts)) + "\n\n")
    assert run(tagging_commands.classify, project, source, out).exit_code == 0
    rows = lines(out)
    assert [row["id"] for row in rows] == [post["id"] for post in posts]
    assert rows[-3]["theme"] == "memory-hardware" and rows[-3]["signal"] and rows[-3]["ask"] is None
    for row in rows:
        assert list(row) == ["id", "relevance", "signal", "theme", "phase", "themes", "ask", "unsure"]
        assert sum(row["themes"].values()) == pytest.approx(1, abs=0.001)
        assert 0 <= row["relevance"] <= 1
    assert not any(row["signal"] for row in rows[:2])


def test_two_processes_classify_alike(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, texts = made_up(50)
    source = project / "in.jsonl"
    source.write_text("".join(json.dumps({"id": u, "title": t, "body": b}) + "\n" for u, (t, b) in texts.items()))
    run(tagging_commands.classify, project, source, project / "one.jsonl", "--processes", 1)
    monkeypatch.setattr(tagging_commands, "_ALONE", 0)
    monkeypatch.setattr(tagging_commands, "_CHUNK", 13)
    run(tagging_commands.classify, project, source, project / "two.jsonl", "--processes", 2)
    assert (project / "one.jsonl").read_bytes() == (project / "two.jsonl").read_bytes()


def test_every_fault_of_the_input_is_named_and_nothing_is_written(project: Path) -> None:
    source, out = project / "in.jsonl", project / "out.jsonl"
    source.write_bytes(
        b'{"id": "a", "title": 3}\n{"title": "no id"}\n[1]\n{"id": "b"\n\xff\xfe\n{"id": true}\n{"id": "fine"}\n'
    )
    out.write_text("old")
    for command in (tagging_commands.classify, tagging_commands.dedupe_command):
        result = run(command, project, source, out)
        assert result.exit_code == 1
        for said in (
            "line 1: title:",
            "line 2: id:",
            "line 3: a line is one",
            "line 4: not JSON",
            "line 5: not",
            "line 6: id:",
        ):
            assert said in result.output
        assert "line 7" not in result.output
        assert out.read_text() == "old"


def test_without_a_model_classify_says_how_to_make_one(tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text('{"id": "a"}\n')
    result = run(tagging_commands.classify, tmp_path, tmp_path / "in.jsonl", tmp_path / "out.jsonl")
    assert result.exit_code == 1
    assert "flywheel train" in result.output


def test_dedupe_writes_a_line_a_pair_and_heeds_what_is_decided(tmp_path: Path) -> None:
    body = "the same complaint in the very same words as before, told at some length so that it can be compared"
    source, out, decided = tmp_path / "in.jsonl", tmp_path / "out.jsonl", tmp_path / "duplicates.jsonl"
    source.write_text("".join(json.dumps({"id": name, "title": "t", "body": body}) + "\n" for name in "abc"))
    run(tagging_commands.dedupe_command, tmp_path, source, out)
    assert lines(out) == [{"keep": "a", "drop": d, "method": "exact", "similarity": 1.0} for d in "bc"]
    decided.write_text(json.dumps({"keep": "a", "drop": "b", "method": "exact", "undo": True}) + "\n")
    run(tagging_commands.dedupe_command, tmp_path, source, out, "--decided", decided)
    assert [row["drop"] for row in lines(out)] == ["c"]


def test_dedupe_takes_odd_texts_and_pairs_only_what_is_the_same(tmp_path: Path) -> None:
    posts = [
        {"id": f"{copy} {n}", "title": "", "body": text} for copy in ("first", "again") for n, text in enumerate(ODD)
    ]
    source, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text("".join(json.dumps(post) + "\n" for post in posts))
    assert run(tagging_commands.dedupe_command, tmp_path, source, out).exit_code == 0
    pairs = {row["drop"]: row["keep"] for row in lines(out)}
    assert {drop: keep for drop, keep in pairs.items() if keep[-1] != drop[-1]} == {}
    assert {drop for drop in pairs if drop.startswith("first")} == set()
    same = [n for n, text in enumerate(ODD) if dedupe.normalise(text)]
    assert set(pairs) == {f"again {n}" for n in same}


def test_identical_posts_are_copies_of_the_first_and_are_tagged_alike(project: Path) -> None:
    source, out = project / "in.jsonl", project / "out.jsonl"
    post = {"title": "gpu memory", "body": "fine-tuning my model i tried lora cuda and it will not fit at all"}
    source.write_text("".join(json.dumps({"id": n} | post) + "\n" for n in range(50)))
    assert run(tagging_commands.dedupe_command, project, source, out).exit_code == 0
    assert [(row["keep"], row["drop"]) for row in lines(out)] == [("0", str(n)) for n in range(1, 50)]
    assert run(tagging_commands.classify, project, source, out).exit_code == 0
    assert len({json.dumps(row | {"id": 0}) for row in lines(out)}) == 1


def test_dedupe_with_an_index_compares_new_posts_with_old(tmp_path: Path) -> None:
    def write(name: str, ids: str) -> Path:
        body = "a complaint that comes back every week in the very same words and is long enough to be compared"
        path = tmp_path / name
        path.write_text("".join(json.dumps({"id": i, "title": "t", "body": body}) + "\n" for i in ids))
        return path

    out, index = tmp_path / "out.jsonl", tmp_path / "copies.db"
    run(tagging_commands.dedupe_command, tmp_path, write("one", "ab"), out, "--index", index)
    assert [row["drop"] for row in lines(out)] == ["b"]
    run(tagging_commands.dedupe_command, tmp_path, write("two", "bc"), out, "--index", index)
    assert [(row["keep"], row["drop"]) for row in lines(out)] == [("a", "c")]
    run(tagging_commands.dedupe_command, tmp_path, write("all", "abc"), out, "--index", index, "--rebuild")
    assert [row["drop"] for row in lines(out)] == ["b", "c"]


# The commands that read data/ and the archives beside the project


@pytest.fixture
def small_project(tmp_path: Path, data_folder: Any) -> Path:
    """A project of 240 made-up read posts, with archives beside it that hold their texts and five unread posts."""
    posts, texts = made_up()
    unread = [f"https://huggingface.co/someone/model-1/discussions/{n}" for n in range(900, 905)]
    rows = [
        drawn(
            n,
            url=post.url,
            community=post.community,
            pain=post.verdict == "signal",
            theme=post.theme,
            also=list(post.also),
            ask=post.ask,
            gist=post.gist,
            sure=post.sure,
            author=post.author,
            thread=post.url,
        )
        for n, post in enumerate(posts)
    ]
    root = tmp_path / "project"
    root.mkdir()
    shutil.move(data_folder(rows), root / "data")
    archives = tmp_path / "shared" / "archives"
    archives.mkdir(parents=True)
    said = {**texts, **dict.fromkeys(unread, ("gpu memory", "fine-tuning my model i tried lora cuda vram"))}
    lines_of = {
        archive_texts.POSTS: [
            {"set": "hf-hub-discussions", "url": url, "title": title, "body": body, "date": "2023-05-06 07:08:09+00:00"}
            for url, (title, body) in said.items()
        ],
        archive_texts.TITLES: [],
        archive_texts.COMMENTS: [],
    }
    for name, found in lines_of.items():
        with gzip.open(archives / name, "wt") as file:
            file.writelines(json.dumps(row) + "\n" for row in found)
    return root


@pytest.mark.usefixtures("few_draws")
def test_train_tag_and_explain(small_project: Path) -> None:
    result = run(tagging_commands.train_command, small_project)
    assert result.exit_code == 0, result.output
    report = lines(small_project / "data" / "tagger_report.jsonl")
    assert {row["task"] for row in report} == {"relevance", "theme", "phase", "ask"}

    predictions = lines(small_project / "data" / "predictions.jsonl")
    assert [row["url"] for row in predictions] == sorted(post.url for post in made_up()[0])
    pain = {post.url: post.verdict == "signal" for post in made_up()[0]}
    assert np.mean([(row["relevance"] > 0.5) == pain[row["url"]] for row in predictions]) > 0.9
    assert len(data.read(small_project / "data").predictions) == len(predictions)

    assert run(tagging_commands.tag_command, small_project).exit_code == 0
    derived = lines(small_project / "data" / "derived" / "population.jsonl")
    assert [row["url"][-3:] for row in derived] == ["900", "901", "902", "903", "904"]
    for row in derived:
        assert row["month"] == "2023-05" and max(row["themes"], key=row["themes"].get) == "memory-hardware"
        assert not {"title", "body", "gist", "text"} & set(row)

    said = run(tagging_commands.explain, small_project, made_up()[0][0].url).output
    assert "a reader said: signal memory-hardware; that stands" in said
    relevant, theme = (part.splitlines()[1:] for part in said.split("what spoke for or against")[1:])
    assert len(theme) == 12 and any(f"'{word}'" in line for word in SIGNALS for line in relevant)
    absent = run(tagging_commands.explain, small_project, "https://example.org/absent")
    assert absent.exit_code == 1 and "no text" in absent.output


def test_with_no_read_posts_training_says_so_and_the_old_model_stays(small_project: Path, trained: Trained) -> None:
    tag.save(trained.model, small_project / "data" / "tagger")
    (small_project / "data" / "signals" / "some.jsonl").write_text("")
    result = run(tagging_commands.train_command, small_project)
    assert result.exit_code == 1
    assert "0 read posts have their text at hand" in result.output
    assert tag.load(small_project / "data" / "tagger").version == trained.model.version
    assert not (small_project / "data" / "predictions.jsonl").exists()


def test_fold_adds_copies_once_and_leaves_what_was_undone(small_project: Path) -> None:
    path = small_project / "data" / "duplicates.jsonl"
    posts, texts = made_up()
    archive = small_project.parent / "shared" / "archives" / archive_texts.POSTS
    with gzip.open(archive, "rt") as file:
        rows = [json.loads(line) for line in file]
    for n in (20, 30):
        rows[n]["title"], rows[n]["body"] = texts[posts[4].url]
    with gzip.open(archive, "wt") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    run(tagging_commands.fold_command, small_project)
    first = lines(path)
    assert len({row["drop"] for row in first} & {posts[n].url for n in (4, 20, 30)}) == 2
    undone = {**first[0], "undo": True}
    path.write_text("".join(json.dumps(row) + "\n" for row in [*first, undone]))
    run(tagging_commands.fold_command, small_project)
    assert lines(path) == [*first, undone]


# On the real posts beside the project


@pytest.fixture(scope="session")
def committed(root: Path) -> Model:
    return tag.load(root / "data" / "tagger")


def test_the_committed_model_is_small_and_knows_the_vocabulary(root: Path, committed: Model, words: Vocabulary) -> None:
    size = sum(path.stat().st_size for path in (root / "data" / "tagger").iterdir())
    assert size < 5_000_000
    assert committed.theme.classes == tuple(words.themes)
    assert committed.ask.classes == tuple(words.asks)
    assert dict(committed.phases) == {slug: theme.phase for slug, theme in words.themes.items()}


@pytest.mark.slow
def test_train_makes_the_committed_model_again(root: Path, shared: Path, committed: Model) -> None:
    """The committed probabilities, to within 1e-3, where the named archives are present."""
    _, posts = tagging_commands.read_posts_of(root)
    texts = tagging_commands.texts_at_hand(root, None)
    again = train.train(posts, texts, vocabulary.read(root / "data"))
    assert again.model.version == committed.version
    some = [example.text for example in again.raw[::7]]
    before, after = tag.tag(committed, some), tag.tag(again.model, some)
    np.testing.assert_allclose(after.relevance, before.relevance, atol=1e-3)
    np.testing.assert_allclose(after.themes, before.themes, atol=1e-3)


def test_unrelated_issues_almost_never_pass(shared: Path, committed: Model) -> None:
    csv.field_size_limit(10**9)
    texts = []
    for path in sorted((shared / "realtext").glob("*.csv")):
        with path.open(newline="") as file:
            texts += [Text(row["title"], row["body"], row["repo"]) for row in csv.DictReader(file)]
    passed = tag.tag(committed, texts).relevance >= committed.thresholds.signal
    assert len(texts) == 3_000
    assert passed.mean() < 0.005
