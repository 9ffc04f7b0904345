"""What all tests share: a database built once, a small data folder of made-up posts, and a small site in the shape of
the real one."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import sqlite_utils
from datasette.app import Datasette
from datasette.plugins import pm

from flywheel import data, pipeline
from tests.posts import write_lines

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@cache
def shipped_data() -> data.Data:
    """The shipped data as read, once: checking every line takes more than a second. Nobody may change it."""
    return data.read(ROOT / "data")


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """signals.db, built from the shipped data."""
    out = tmp_path_factory.mktemp("shipped") / "signals.db"
    pipeline.build(ROOT / "data", out)
    return out


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real posts and recordings beside the project; tests that need it skip where it is absent."""
    if not SHARED.is_dir():
        pytest.skip("needs ../shared, the folder of real posts beside the project")
    return SHARED


DataFolder = Callable[..., Path]


@pytest.fixture
def data_folder(tmp_path: Path) -> DataFolder:
    """Makes a data folder with the project's vocabulary and the given lines: data_folder(rows, codings=[…])."""

    def make(rows: Iterable[dict[str, Any] | str | bytes], **families: Iterable[dict[str, Any] | str]) -> Path:
        folder = tmp_path / "data"
        folder.mkdir(exist_ok=True)
        for vocabulary in (ROOT / "data").glob("*.yml"):
            shutil.copy(vocabulary, folder)
        write_lines(folder / "signals" / "some.jsonl", rows)
        write_lines(folder / "codings.jsonl", families.pop("codings", []))
        for family, lines in families.items():
            write_lines(folder / f"{family}.jsonl", lines)
        return folder

    return make


HOSTILE = "<script>alert('x')</script> \"&amp; ]]> c++"

QUERIES = {
    "site_facts": """-- title: Facts of this build
-- description: One row, shown at the foot of every page.

select (select value from build_info where key = 'content_hash') as content_hash, '2026.11.0' as data_version,
  max(month) as latest_month, count(*) as n_signals, 3210 as n_posts_read from signals
""",
    "signals_by_phase": """-- title: Signals by phase
-- description: How many signals each phase has,
--   at one place or at all.
-- param place = every place: the slug of one place
-- fragment: g.mark=bar&g.x_column=phase&g.x_type=nominal&g.y_column=n&g.y_type=quantitative

select phase, count(*) as n from signals where :place = '' or place = :place group by phase
order by n desc, phase
""",
    "many_rows": """-- title: Many rows
-- description: More rows than the API returns at once.

with recursive counter(i) as (select 1 union all select i + 1 from counter where i < 2500)
select i from counter
""",
}


@dataclass(frozen=True)
class Site:
    """Folders of a small site, and what it takes to serve it."""

    root: Path
    database: Path

    def plugin(self, name: str) -> Any:
        """The module of one of the site's plugins, as Datasette loaded it."""
        self.datasette()
        return pm.get_plugin(f"{name}.py")

    def datasette(self, **options: Any) -> Datasette:
        options.setdefault("files", [str(self.database)])
        return Datasette(
            plugins_dir=str(self.root / "plugins"),
            template_dir=str(self.root / "templates"),
            static_mounts=[("static", str(self.root / "static"))],
            metadata={"title": "Tinker Flywheel", "license": "CC BY 4.0"},
            **options,
        )


def make_database(path: Path) -> None:
    database = sqlite_utils.Database(path)
    database.table("places").insert_all(
        [{"place": "reddit", "name": "Reddit"}, {"place": "hub", "name": "Hub"}], pk="place"
    )
    database.table("signals").insert_all(
        (
            {
                "id": f"gh.hiyouga.LlamaFactory.{i}",
                "url": f"https://github.com/hiyouga/LlamaFactory/issues/{i}",
                "title": HOSTILE if i == 0 else f"Loss is flat after {i} steps",
                "excerpt": None,
                "gist": "The writer sees no change after tuning.",
                "theme": ["memory-hardware", "output-defects", "checkpoint-lifecycle"][i % 3],
                "phase": ["train", "evaluate", "iterate"][i % 3],
                "ask": [None, "bad", "next"][i % 3],
                "place": ["reddit", "hub"][i % 2],
                "community": "hiyouga/LlamaFactory",
                "month": f"2025-{1 + i % 12:02d}",
                "tool": None,
            }
            for i in range(240)
        ),
        pk="id",
        foreign_keys=[("place", "places", "place")],
    )
    database.table("signals").enable_fts(["title", "excerpt", "gist"], tokenize="porter")
    database.table("build_info").insert_all([{"key": "content_hash", "value": "c0ffee" * 10}], pk="key")
    database.close()


def lay_out(root: Path, queries: dict[str, str] | None = None, templates: dict[str, str] | None = None) -> Site:
    """Copies the project's plugins, templates and styles to ``root`` and adds queries, templates and data."""
    for folder in ("plugins", "templates", "static"):
        shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
    (root / "canned_queries").mkdir()
    for name, sql in {**QUERIES, **(queries or {})}.items():
        (root / "canned_queries" / f"{name}.sql").write_text(sql, encoding="utf-8")
    for name, text in (templates or {}).items():
        (root / "templates" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "templates" / name).write_text(text, encoding="utf-8")
    make_database(root / "signals.db")
    return Site(root, root / "signals.db")


def forget_site_plugins() -> None:
    """Datasette keeps plugins for the whole process and skips one whose file name it knows already."""
    for plugin in pm.get_plugins():
        if getattr(plugin, "__name__", "").endswith(".py"):
            pm.unregister(plugin)


@pytest.fixture
def make_site(tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """`lay_out` in a folder of the test's own, with a process that knows no other site's plugins."""
    forget_site_plugins()
    yield lambda **given: lay_out(tmp_path / "site", **given)
    forget_site_plugins()
