"""/export/ as a mirror meets it, and the JSON-LD of the pages."""

from __future__ import annotations

import hashlib
import html
import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import yaml

from flywheel import export, pipeline
from tests.conftest import ROOT, DataFolder
from tests.posts import coded
from tests.served import ask


def test_the_site_serves_the_bytes_that_the_command_writes(database: Path, tmp_path: Path) -> None:
    written = export.write(database, tmp_path / "export", ROOT)
    answers = ask(database, [f"/export/{name}" for name in (*written, export.SUMS)])
    for name in (*written, export.SUMS):
        answer = answers[f"/export/{name}"]
        assert answer.status_code == 200, name
        assert answer.content == (tmp_path / "export" / name).read_bytes(), name
        assert answer.headers["access-control-allow-origin"] == "*", name
    listed = dict(line.split("  ")[::-1] for line in answers[f"/export/{export.SUMS}"].text.splitlines())
    assert listed == {
        name: hashlib.sha256(answers[f"/export/{name}"].content).hexdigest() for name in written if name != export.SUMS
    }


@pytest.mark.parametrize(
    "path",
    ["nope", "csv/nope.csv", "csv", "parquet/signals.csv", "CHANGELOG.md"],
)
def test_what_is_not_in_the_export_is_not_found(database: Path, path: str) -> None:
    assert ask(database, [f"/export/{path}"])[f"/export/{path}"].status_code == 404


def test_the_bare_folder_leads_to_the_downloads(database: Path) -> None:
    answer = ask(database, ["/export/"])["/export/"]
    assert (answer.status_code, answer.headers["location"]) == (302, "/downloads")


def json_ld(page: str) -> list[dict[str, object]]:
    return [json.loads(text) for text in re.findall(r'(?s)<script type="application/ld\+json">(.*?)</script>', page)]


@pytest.mark.parametrize(("path", "kind"), [("/", "Dataset"), ("/downloads", "Dataset"), ("/memo", "Report")])
def test_pages_tell_search_engines_what_the_data_are(database: Path, path: str, kind: str) -> None:
    (found,) = json_ld(ask(database, [path])[path].text)
    assert found["@type"] == kind
    about = found if kind == "Dataset" else found["isBasedOn"]
    assert isinstance(about, dict)
    with closing(sqlite3.connect(database)) as connection:
        info = dict(connection.execute("select key, value from build_info"))
    assert about["version"] == info["data_version"]
    assert about["identifier"] == f"content_hash:{info['content_hash']}"
    assert 50 <= len(about["description"]) <= 5000
    assert ask(database, [about["distribution"][1]["contentUrl"]]).popitem()[1].status_code == 200


HOSTILE = "</script><script>alert(1)</script><!-- & \u2028"


def test_hostile_words_stay_inside_the_json_ld(
    data_folder: DataFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the database says of itself, the element ends where we end it."""
    folder = data_folder([coded(n) for n in range(12)])
    site = yaml.safe_load((folder / "site.yml").read_text())
    (folder / "site.yml").write_text(yaml.safe_dump({**site, "url": "https://x.example/</script><b>&"}))
    pipeline.build(folder, tmp_path / "signals.db")
    page = ask(tmp_path / "signals.db", ["/downloads"])["/downloads"].text
    (found,) = json_ld(page)
    assert found["url"] == "https://x.example/</script><b>&"
    assert "</script><b>" not in page
    assert '<link rel="canonical" href="https://x.example/&lt;/script&gt;&lt;b&gt;&amp;/downloads">' in page


def test_licences_are_shown_by_source_and_by_column(database: Path) -> None:
    page = html.unescape(ask(database, ["/downloads"])["/downloads"].text)
    sources = yaml.safe_load((ROOT / "data" / "sources.yml").read_text(encoding="utf-8"))
    assert all(source["title"] in page and source["licence"] in page and source["terms"] in page for source in sources)
    for column in ("signals.title", "signals.excerpt", "external.figure"):
        assert column in page


@pytest.mark.parametrize("contact", ["", "mailto:ask@flywheel.example"])
@pytest.mark.parametrize("repository", ["", "https://code.example/flywheel"])
def test_the_takedown_page_names_who_can_be_asked(
    data_folder: DataFolder, tmp_path: Path, contact: str, repository: str
) -> None:
    folder = data_folder([coded(n) for n in range(3)])
    site = yaml.safe_load((folder / "site.yml").read_text())
    (folder / "site.yml").write_text(yaml.safe_dump({**site, "contact": contact, "repository": repository}))
    pipeline.build(folder, tmp_path / "signals.db")
    page = ask(tmp_path / "signals.db", ["/takedown"])["/takedown"].text
    assert f"Within {site['takedown_within']}" in page
    assert ('href="mailto:ask@flywheel.example">ask@flywheel.example<' in page) == bool(contact)
    assert ('href="https://code.example/flywheel"' in page) == bool(repository)
    assert ("names no address" in page) == (not contact and not repository)
    assert 'href=""' not in page


def test_the_datasheet_is_a_page_too(database: Path) -> None:
    page = ask(database, ["/datasheet"])["/datasheet"].text
    assert "<h2>Composition</h2>" in page and "<strong>What is a row?</strong>" in page
    assert page.count('<div class="wide table-wrapper"') == page.count("<table>") > 3
