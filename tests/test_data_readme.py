"""The examples of data/README.md are a data folder that can be read: what it tells a newcomer to write is accepted."""

import re
import shutil
from pathlib import Path

import pytest

from flywheel import data, pipeline

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "data" / "README.md").read_text(encoding="utf-8")
EXAMPLES = dict(re.findall(r"^### `(\S+)`\n\n```json\n(.*?)```$", TEXT, re.MULTILINE | re.DOTALL))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The project's vocabulary with the examples as its only rows."""
    (tmp_path / "signals").mkdir()
    for vocabulary in (ROOT / "data").glob("*.yml"):
        shutil.copy(vocabulary, tmp_path)
    for name, lines in EXAMPLES.items():
        (tmp_path / name.replace("*", "example")).write_text(lines, encoding="utf-8")
    return tmp_path


def test_the_examples_are_accepted(folder: Path) -> None:
    found = data.read(folder)
    assert len(found.posts) == 3
    assert {name: found.files[name] for name in sorted(found.files)} == {
        "codings.jsonl": 2,
        "corrections.jsonl": 2,
        "duplicates.jsonl": 1,
        "signals/example.jsonl": 3,
        "tombstones.jsonl": 1,
    }


def test_the_examples_do_what_the_text_says(folder: Path) -> None:
    found = data.read(folder)
    posts = {post.id: post for post in pipeline.correct(found.posts, found.corrections, found.vocabulary)}
    corrected = posts["gh.example.tuner.12"]
    assert (corrected.theme, corrected.also, corrected.ask) == ("train-serve-gap", (), "bad")
    assert posts["rd.abc123"].why == "howto"
    assert "rd.abc123" not in {post.id for post in pipeline.forget(found.posts, found.tombstones)}
    assert found.duplicates[0].drop == "gh.example.tuner.15"


def test_every_file_of_the_folder_is_listed() -> None:
    listed = set(re.findall(r"^\| `([\w./*]+)` \|", TEXT, re.MULTILINE))
    for path in (ROOT / "data").rglob("*"):
        if path.is_file() and path.name != "README.md":
            name = path.relative_to(ROOT / "data").as_posix()
            assert re.sub(r"/\w+\.jsonl$", "/*.jsonl", name) in listed, f"data/README.md does not list {name}"


def test_every_field_of_a_line_is_described() -> None:
    fields = {field.alias or name for name, field in data.CodedRow.model_fields.items()}
    described = set(re.findall(r"`(\w+)`", " ".join(re.findall(r"^\| (`.*?) \|", TEXT, re.MULTILINE))))
    assert fields - described == set()
    assert f"at most {data.GIST_WORDS} words" in TEXT
