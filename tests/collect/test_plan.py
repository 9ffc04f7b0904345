"""The plan: what is shipped can be read, and what is wrong is named with file, line and key."""

import ast
from pathlib import Path

import pytest

from flywheel.collect.plan import read_plan, source_named, source_names
from flywheel.faults import FaultsError

ROOT = Path(__file__).parents[2]
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef)
SHIPPED = ROOT / "data" / "collect.yml"


def test_the_shipped_plan_can_be_read() -> None:
    plan = read_plan(SHIPPED)
    assert set(plan.sources) == set(source_names())
    for name, entry in plan.sources.items():
        queries = source_named(name).queries(entry, {})
        assert queries, name
        assert len({q.key for q in queries}) == len(queries), f"{name}: two queries of one key"


def test_each_collector_says_how_it_is_called() -> None:
    assert all(source_named(name).name == name for name in source_names())


def test_no_address_of_a_source_stands_in_the_code() -> None:
    """A collector asks only where the plan points; a host in code can only be part of a post's own link."""
    apis = ("api.github.com", "hn.algolia.com", "firebaseio", "api.stackexchange.com", "oauth.reddit.com", "lemmy.")
    for file in (ROOT / "build" / "flywheel" / "collect").rglob("*.py"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        documentation = {ast.get_docstring(n, clean=False) for n in ast.walk(tree) if isinstance(n, _DOCUMENTED)}
        texts = {n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)}
        named = {host for host in apis for text in texts - documentation if host in text}
        assert not named, f"{file.name} names {named}"


ENTRY = """\
since: 2026-01-01
sources:
  github:
    base_url: https://api.example.org
    repositories:
      - {name: o/r, frame: population, corpus: public, why: all issues of a tracker}
      - name: o/s
        frame: sometimes
        corpus: public
        why: all issues of a tracker
"""


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (ENTRY, 8, ["frame", "population"]),
        (ENTRY.replace("sometimes", "neutral").replace("name: o/s", "name: not a repository"), 7, ["name"]),
        (ENTRY.replace("sometimes", "neutral").replace("corpus: public\n        why", "why"), 7, ["corpus", "missing"]),
        (ENTRY.replace("  github:", "  gothub:"), 3, ["gothub", "no such collector", "github"]),
        (ENTRY.replace("sometimes", "neutral") + "    colour: red\n", 11, ["colour", "not a field"]),
        (ENTRY.replace("https://api.example.org", "ftp://x"), 4, ["base_url"]),
        (ENTRY.replace("https://api.example.org", "https://user:pw@x.org"), 4, ["base_url"]),
        (ENTRY.replace("since: 2026-01-01\n", ""), 1, ["since", "missing"]),
        (ENTRY.replace("frame: sometimes", "frame: [unclosed"), 9, ["not YAML"]),
        ("", 1, []),
        ("- a list\n", 1, []),
    ],
)
def test_a_fault_names_file_line_and_key(tmp_path: Path, text: str, line: int, words: list[str]) -> None:
    path = tmp_path / "collect.yml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(FaultsError) as caught:
        read_plan(path)
    assert caught.value.faults[0].line == line, str(caught.value)
    assert all(word in str(caught.value) for word in ["collect.yml", *words]), str(caught.value)


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "collect.yml"
    path.write_text(ENTRY + "  hackernews:\n    base_url: https://x.org\n", encoding="utf-8")
    with pytest.raises(FaultsError) as caught:
        read_plan(path)
    assert [fault.field for fault in caught.value.faults] == [
        "sources.github: repositories.1.frame",
        "sources.hackernews: items_url",
    ]


def test_a_plan_that_is_not_there_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(FaultsError, match="cannot be read"):
        read_plan(tmp_path / "absent.yml")


@pytest.mark.parametrize("q", ["is:open lora", "created:2026 lora", "sort:updated lora"])
def test_what_the_collector_adds_itself_may_not_be_asked(tmp_path: Path, q: str) -> None:
    path = tmp_path / "collect.yml"
    searches = f"searches: [{{q: '{q}', frame: neutral, corpus: public, why: a query of the tests}}]"
    path.write_text(f"since: 2026-01-01\nsources:\n  github:\n    base_url: https://x.org\n    {searches}\n")
    with pytest.raises(FaultsError, match="added by the collector"):
        read_plan(path)
