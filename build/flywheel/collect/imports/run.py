"""One import: rows of a file or folder, in batches, into the raw store."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import yaml

from flywheel.collect.border import Crossing, broken
from flywheel.collect.imports import plain, read, shapes
from flywheel.collect.record import Broken, Page, Why
from flywheel.collect.store import Counts, Found, Store
from flywheel.faults import Fault, FaultsError

BATCH = 1000  # items in one transaction
SHOWN = 20  # reasons in the text of a report


@dataclass(slots=True)
class ImportReport:
    """`rows` are lines of a file or items of a document; one may hold many posts. `counts.got` = new + changed +
    same + gone + quarantined + unused + tombstoned."""

    source: str
    files: int = 0
    rows: int = 0
    counts: Counts = field(default_factory=Counts)
    reasons: dict[str, int] = field(default_factory=dict)  # of the quarantined, without their places
    first: dict[str, str] = field(default_factory=dict)  # where each reason was met first
    erased: dict[str, Why] = field(default_factory=dict)  # public ids
    faults: list[Fault] = field(default_factory=list)  # files that could not be read to their end

    @property
    def news(self) -> bool:
        c = self.counts
        return bool(c.new or c.changed or c.newly_gone or c.newly_quarantined)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def as_text(self) -> str:
        c = self.counts
        lines = [
            f"{self.files} file{'s' if self.files != 1 else ''}, {self.rows:,} rows, {c.got:,} posts: new {c.new:,}, "
            f"changed {c.changed:,}, same {c.same:,}, gone {c.gone:,}, quarantined {c.quarantined:,}, "
            f"unused {c.unused:,}, refused by tombstone {c.tombstoned:,}"
        ]
        by_number = sorted(self.reasons.items(), key=lambda one: (-one[1], one[0]))
        lines += [f"  quarantined {n:,}: {reason} (first: {self.first[reason]})" for reason, n in by_number[:SHOWN]]
        if len(by_number) > SHOWN:
            lines.append(f"  and {len(by_number) - SHOWN} other reasons; all are in the store's table quarantine")
        return "\n".join(lines)


def names(sources: Path | None = None) -> list[str]:
    """What `--source` may be: what there are shapes for, and every source of data/sources.yml."""
    said = yaml.safe_load(sources.read_text(encoding="utf-8")) if sources and sources.exists() else []
    slugs = {str(one["slug"]) for one in said}
    return sorted({*shapes.SHAPES, *plain.FIXED, *shapes.COLLECTORS, plain.ANY} | slugs)


def pages_of(path: Path, source: str, report: ImportReport) -> Iterator[tuple[Path, Page]]:
    """(file, page) of everything in a file, or in all files under a folder; `report` is kept up on the way. A file
    that cannot be read to its end is in `report.faults`; what it gave before that comes out all the same."""
    known = shapes.shapes_of(shapes.COLLECTORS.get(source, source))
    for file in read.files_of(path):
        report.files += 1
        crossing, placed = Crossing(), 0
        try:
            for row in read.rows(file):
                report.rows += 1
                if row.error:
                    # The line itself is not kept: what is not JSON cannot be cleared of names.
                    crossing.broken.append(broken({"file": row.file, "line": row.line}, row.error))
                else:
                    shapes.take(row, known, crossing)
                placed = _place(crossing.broken, placed, row, report)
                if len(crossing.records) + len(crossing.gone) + len(crossing.broken) >= BATCH:
                    yield file, crossing.page()
                    crossing, placed = Crossing(), 0
        except FaultsError as error:
            report.faults += error.faults
        if crossing.page().n_items:
            yield file, crossing.page()


def _place(broken: list[Broken], start: int, row: read.Row, report: ImportReport) -> int:
    """Gives the broken items from `start` on their place, and counts their reasons."""
    place = f"{row.file}, line {row.line}"
    for at, one in enumerate(broken[start:], start):
        report.reasons[one.reason] = report.reasons.get(one.reason, 0) + 1
        report.first.setdefault(one.reason, place)
        broken[at] = Broken(f"{place}: {one.reason}", one.raw, one.native_id)
    return len(broken)


def import_path(
    store: Store,
    path: Path,
    source: str,
    day: str,
    frame: str | None = None,
    corpus: str | None = None,
    progress: Callable[[int], None] = lambda rows: None,
) -> ImportReport:
    """Imports a file, or all files under a folder, a batch in one transaction."""
    report = ImportReport(shapes.COLLECTORS.get(source, source))
    for file, page in pages_of(path, source, report):
        found = Found(None, f"import:{file.name}", frame, corpus)
        counts, erased = store.write_page(page, found, day, f"import:{report.source}")
        report.counts.add(counts)
        report.erased |= erased
        progress(report.rows)
    return report
