"""One import: rows of a file or folder, in batches, into the raw store."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from flywheel.collect.border import Crossing, broken
from flywheel.collect.imports import plain, read, shapes
from flywheel.collect.record import Broken, Record, Why
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


def import_path(
    store: Store,
    path: Path,
    source: str,
    day: str,
    frame: str | None = None,
    corpus: str | None = None,
    progress: Callable[[int], None] = lambda rows: None,
) -> ImportReport:
    """Imports a file, or all files under a folder. A file that cannot be read to its end is in `faults`; what it
    gave before that is stored, and so are the other files."""
    source = shapes.COLLECTORS.get(source, source)
    report = ImportReport(source)
    known = shapes.shapes_of(source)
    for file in read.files_of(path):
        report.files += 1
        batch = _Batch(store, report, Found(None, f"import:{file.name}", frame, corpus), day)
        try:
            for row in read.rows(file):
                report.rows += 1
                batch.take(row, known)
                if batch.size >= BATCH:
                    batch.write()
                    progress(report.rows)
        except FaultsError as error:
            report.faults += error.faults
        batch.write()
    progress(report.rows)
    return report


class _Batch:
    """Items on their way into the store."""

    def __init__(self, store: Store, report: ImportReport, found: Found, day: str) -> None:
        self._store, self._report, self._found, self._day = store, report, found, day
        self._crossing = Crossing()
        self._placed = 0

    @property
    def size(self) -> int:
        c = self._crossing
        return len(c.records) + len(c.gone) + len(c.broken)

    def take(self, row: read.Row, known: tuple[shapes.Shape, ...]) -> None:
        if row.error:
            # The line itself is not kept: what is not JSON cannot be cleared of names.
            self._crossing.broken.append(broken({"file": row.file, "line": row.line}, row.error))
        else:
            shapes.take(row, known, self._crossing)
        place = f"{row.file}, line {row.line}"
        for at in range(self._placed, len(self._crossing.broken)):
            one = self._crossing.broken[at]
            self._report.reasons[one.reason] = self._report.reasons.get(one.reason, 0) + 1
            self._report.first.setdefault(one.reason, place)
            self._crossing.broken[at] = Broken(f"{place}: {one.reason}", one.raw, one.native_id)
        self._placed = len(self._crossing.broken)

    def write(self) -> None:
        if not (self.size or self._crossing.unused):
            return
        self._crossing.records = [self._known(record) for record in self._crossing.records]
        counts, erased = self._store.write_page(
            self._crossing.page(), self._found, self._day, f"import:{self._report.source}"
        )
        self._report.counts.add(counts)
        self._report.erased |= erased
        self._crossing, self._placed = Crossing(), 0

    def _known(self, record: Record) -> Record:
        """A post that the archive knows by its url alone keeps the name under which it is held already."""
        if not record.native_id.startswith("url:"):
            return record
        row = self._store.db.execute(
            "SELECT native_id FROM items WHERE source = ? AND url = ? ORDER BY native_id LIMIT 1",
            (record.source, record.url),
        ).fetchone()
        return replace(record, native_id=row["native_id"]) if row else record
