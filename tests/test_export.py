"""The open-data export over the shipped data: what validators and other readers say of it, and what it promises."""

from __future__ import annotations

import csv
import hashlib
import json
import sqlite3
import subprocess
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from arro3.io import read_parquet
from click.testing import CliRunner
from frictionless import Package
from frictionless.resources import TableResource
from huggingface_hub import DatasetCard

from flywheel import export, pipeline
from flywheel.catalogue import ALL_TABLES
from flywheel.cli import main
from tests.conftest import ROOT, DataFolder
from tests.posts import coded, drawn


@pytest.fixture(scope="module")
def exported(database: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("open") / "export"
    result = call("export", "--database", database, "--out", out)
    assert result.exit_code == 0, result.output
    return out


def call(*arguments: object) -> Any:
    return CliRunner().invoke(main, ["--root", str(ROOT), *map(str, arguments)])


def files(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def rows(database: Path, name: str) -> list[tuple[Any, ...]]:
    table = ALL_TABLES[name]
    columns, key = (", ".join(f"[{column}]" for column in names) for names in (table.columns, table.pk))
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute(f"select {columns} from [{name}] order by {key}").fetchall()


def test_two_exports_of_one_database_are_the_same_bytes(database: Path, exported: Path, tmp_path: Path) -> None:
    assert call("export", "--database", database, "--out", tmp_path / "again").exit_code == 0
    assert files(tmp_path / "again") == files(exported)
    # And once more over itself: the changelog does not grow where nothing changed.
    assert call("export", "--database", database, "--out", tmp_path / "again").exit_code == 0
    assert files(tmp_path / "again") == files(exported)
    assert [path.name for path in tmp_path.iterdir()] == ["again"]


def test_the_checksums_are_those_of_every_file(exported: Path) -> None:
    listed = dict(line.split("  ")[::-1] for line in (exported / export.SUMS).read_text().splitlines())
    assert listed == {name: digest for name, digest in files(exported).items() if name != export.SUMS}
    assert subprocess.run(["sha256sum", "--check", "--quiet", export.SUMS], cwd=exported).returncode == 0


def test_the_database_is_the_one_that_was_given(database: Path, exported: Path) -> None:
    assert (exported / "signals.db").read_bytes() == database.read_bytes()


@pytest.mark.parametrize("name", ALL_TABLES)
def test_csv_and_parquet_hold_every_cell(database: Path, exported: Path, name: str) -> None:
    expected = rows(database, name)
    with (exported / f"csv/{name}.csv").open(encoding="utf-8", newline="") as file:
        head, *lines = list(csv.reader(file))
    assert tuple(head) == ALL_TABLES[name].columns
    assert [tuple(line) for line in lines] == [tuple("" if c is None else str(c) for c in row) for row in expected]

    table = read_parquet(exported / f"parquet/{name}.parquet").read_all()
    assert tuple(table.column_names) == ALL_TABLES[name].columns
    columns = [table[column].to_pylist() for column in table.column_names]
    assert list(zip(*columns, strict=True)) == expected


def test_frictionless_finds_no_fault(exported: Path) -> None:
    report = Package(str(exported / "datapackage.json")).validate()
    assert report.valid, report.flatten(["title", "message"])
    assert report.stats["tasks"] == 2 * len(ALL_TABLES) + 1


def test_frictionless_would_find_a_fault(exported: Path, tmp_path: Path) -> None:
    """The validator reads the files: a changed one does not match its hash, and a slug must be one that there is."""
    package = json.loads((exported / "datapackage.json").read_text())
    (themes,) = (r for r in package["resources"] if r["name"] == "themes")
    (phases,) = (r for r in package["resources"] if r["name"] == "phases")
    (tmp_path / "csv").mkdir()
    (tmp_path / "csv/phases.csv").write_bytes((exported / "csv/phases.csv").read_bytes())
    text = (exported / "csv/themes.csv").read_text()
    (tmp_path / "csv/themes.csv").write_text(text.replace(",train,", ",tram,", 1))

    def told() -> set[str]:
        (tmp_path / "datapackage.json").write_text(json.dumps({**package, "resources": [phases, themes]}))
        return {kind for (kind,) in Package(str(tmp_path / "datapackage.json")).validate().flatten(["type"])}

    assert "hash-count" in told()
    del themes["hash"], themes["bytes"]
    assert told() == {"foreign-key"}


def test_nulls_and_empty_texts_are_told_apart(database: Path, exported: Path) -> None:
    """No column holds both, so that one rule a column brings a CSV back as it was."""
    package = Package(str(exported / "datapackage.json"))
    for name in ALL_TABLES:
        resource = package.get_resource(name)
        assert isinstance(resource, TableResource)
        read = [tuple(float(c) if isinstance(c, Decimal) else c for c in row.to_list()) for row in resource.read_rows()]
        assert read == rows(database, name), name


@pytest.mark.parametrize("url", ["", "https://flywheel.example"])
def test_croissant_validates_and_every_record_set_can_be_read(
    data_folder: DataFolder, tmp_path: Path, url: str
) -> None:
    mlcroissant = pytest.importorskip("mlcroissant")
    folder = data_folder([coded(n) for n in range(12)] + [drawn(100 + n) for n in range(12)])
    site = yaml.safe_load((folder / "site.yml").read_text())
    (folder / "site.yml").write_text(yaml.safe_dump({**site, "url": url}))
    pipeline.build(folder, tmp_path / "signals.db")
    out = tmp_path / "export"
    export.write(tmp_path / "signals.db", out, ROOT)
    found = mlcroissant.Dataset(jsonld=out / "croissant.json")
    assert not found.metadata.ctx.issues.errors
    described = json.loads((out / "croissant.json").read_text())
    assert all(file["contentUrl"].startswith(url) for file in described["distribution"])
    assert {warning for warning in found.metadata.ctx.issues.warnings if "datePublished" not in warning} == set()
    if not url:
        counts = {r["@id"]: sum(1 for _ in found.records(r["@id"])) for r in described["recordSet"]}
        assert counts == {name: n for name in ALL_TABLES if (n := len(rows(tmp_path / "signals.db", name)))}


def test_croissant_of_the_shipped_data_validates(exported: Path) -> None:
    mlcroissant = pytest.importorskip("mlcroissant")
    found = mlcroissant.Dataset(jsonld=exported / "croissant.json")
    assert not found.metadata.ctx.issues.errors
    assert "rai:dataLimitations" in json.loads((exported / "croissant.json").read_text())


def test_the_card_has_front_matter_that_names_real_files(exported: Path) -> None:
    _, front, text = (exported / "README.md").read_text().split("---\n", 2)
    card = yaml.safe_load(front)
    assert DatasetCard.load(exported / "README.md").data.to_dict() == card
    assert card["license"] == "cc-by-4.0"
    assert all((exported / config["data_files"]).is_file() for config in card["configs"])
    assert [config["config_name"] for config in card["configs"] if config.get("default")] == ["signals"]
    assert "Not for" in text and "$" not in text


def test_the_datasheet_answers_every_question(exported: Path) -> None:
    text = (exported / "DATASHEET.md").read_text()
    questions = [line for line in text.splitlines() if line.startswith("**")]
    parts = [line for line in text.splitlines() if line.startswith("## ")]
    assert len(parts) == 7 and len(questions) > 45
    for question in questions:
        asked, _, answer = question.partition("?**")
        assert answer.strip(), asked
    assert "$" not in text


def test_columns_are_all_described_with_their_licence(exported: Path) -> None:
    text = (exported / "COLUMNS.md").read_text()
    for name, table in ALL_TABLES.items():
        part = text.split(f"\n## {name}\n")[1].split("\n## ")[0]
        assert "Licence: [CC BY 4.0]" in part
        assert [line.split("`")[1] for line in part.splitlines() if line.startswith("| `")] == list(table.columns)
    assert "see the table sources." in text


def test_every_licence_of_its_own_is_that_of_a_real_column() -> None:
    metadata = yaml.safe_load((ROOT / "metadata.yml").read_text(encoding="utf-8"))
    for name, table in metadata["databases"]["signals"]["tables"].items():
        assert set(table.get("column_licences", {})) <= set(table["columns"]), name


def test_a_folder_of_something_else_is_left_alone(database: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    result = call("export", "--database", database, "--out", tmp_path)
    assert result.exit_code == 1 and "no export" in result.output
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_what_is_no_database_is_told(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_text("not a database, whatever its name says")
    result = call("export", "--database", tmp_path / "x.db", "--out", tmp_path / "out")
    assert result.exit_code == 1 and "not a signals.db" in result.output
    assert not (tmp_path / "out").exists()


def test_a_fault_halfway_leaves_the_old_export(
    database: Path, exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "export"
    export.write(database, out, ROOT)
    before = files(out)

    def full(*_: Any) -> bytes:
        raise OSError("no space left")

    monkeypatch.setattr(export, "documents", full)
    with pytest.raises(OSError, match="no space"):
        export.write(database, out, ROOT)
    assert files(out) == before
    assert [path.name for path in tmp_path.iterdir()] == ["export"]
