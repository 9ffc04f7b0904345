"""`python -m bench.refresh ../shared/archives`: six real weeks, imported one after the other and refreshed each.

Prints a table of what each week cost beside the size of its difference, and writes it, with the command, into
docs/refresh.md. Works on a copy of data/ in a folder of its own, and leaves nothing behind.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
WEEKS = "reddit-localllama-week-*.jsonl.gz"
HEAD = (
    "| week | posts held | new, changed, gone | import | refresh | peak | store | read by machine "
    "| signals new, gone, relabelled | copies | shares moved of compared |\n"
    f"|{'---|' * 11}"
)


class Cost(NamedTuple):
    """Seconds of processor (a machine's other work does not count), peak megabytes and the report of one command.

    The seconds hold those of the site that a refresh serves and asks.
    """

    seconds: float
    megabytes: float
    report: dict[str, Any]


def measured(folder: Path, *arguments: str | Path) -> Cost:
    report = folder / "report.json"
    where = ["--store", folder / "store.db", "--data", folder / "data", "--report", report]
    command = [sys.executable, "-m", "flywheel.cli", "--root", str(ROOT), *map(str, (*arguments, *where))]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}")
    told = json.loads(report.read_text(encoding="utf-8"))
    return Cost(usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, told)


def refreshed(folder: Path, version: str) -> Cost:
    cost = measured(folder, "refresh", "--no-collect", "--version", version, "--out", folder / "signals.db")
    if cost.report["outcome"] != "published":
        raise RuntimeError(f"{version}: {cost.report['outcome']}: {cost.report['verdicts']}")
    return cost


def row(folder: Path, week: str, imported: Cost | None, cost: Cost) -> str:
    counts = imported.report["counts"] if imported else None
    told, found = cost.report, cost.report["new"] is not None
    cells = [
        week,
        f"{told['posts']:,}",
        f"{counts['new']:,}, {counts['changed']:,}, {counts['newly_gone']:,}" if counts else "–",
        f"{imported.seconds:.1f} s" if imported else "–",
        f"{cost.seconds:.1f} s",
        f"{max(cost.megabytes, imported.megabytes if imported else 0):.0f} MB",
        f"{(folder / 'store.db').stat().st_size / 1e6:.1f} MB",
        f"{told['read_by_machine']:,}",
        f"{told['new']}, {told['gone']}, {told['relabelled']}" if found else "–",
        f"{told['copies']}",
        f"{len(told['moved'])} of {told['compared']}" if found else "–",
    ]
    return f"| {' | '.join(cells)} |"


def unread(data: Path, copy: Path) -> None:
    """A copy of the data without what a machine read, for that was read from these very archives, and its copies."""
    shutil.copytree(data, copy, ignore=shutil.ignore_patterns("derived"))
    urls = {
        json.loads(line)["url"]
        for path in (copy / "signals").glob("*.jsonl")
        for line in path.read_text(encoding="utf-8").splitlines()
    }
    for name, fields in (("duplicates.jsonl", ("keep", "drop")), ("codings.jsonl", ("url",))):
        if (copy / name).exists():
            lines = (copy / name).read_text(encoding="utf-8").splitlines()
            kept = (line for line in lines if {json.loads(line)[field] for field in fields} <= urls)
            (copy / name).write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")


def main(archives: Path) -> None:
    weeks = sorted(archives.glob(WEEKS))
    if not weeks:
        raise SystemExit(f"no {WEEKS} in {archives}")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        unread(ROOT / "data", folder / "data")
        rows = [row(folder, "before", None, refreshed(folder, "2025-06-29"))]
        print(HEAD, rows[0], sep="\n", flush=True)
        steps = []
        for path in weeks:
            day = path.name.removeprefix("reddit-localllama-week-").removesuffix(".jsonl.gz")
            imported = measured(folder, "import", path, "--source", "reddit", "--frame", "population")
            cost = refreshed(folder, day)
            rows.append(row(folder, day, imported, cost))
            steps.append(cost.report["seconds"])
            print(rows[-1], flush=True)
        # The last state once more: nothing changed, so nothing is published.
        again = measured(folder, "refresh", "--no-collect", "--version", "2025-08-09", "--out", folder / "signals.db")
    whole = sum(sum(step.values()) for step in steps)
    spent = ", ".join(f"{name} {100 * sum(step[name] for step in steps) / whole:.0f}" for name in steps[0])
    write(
        [
            *HEAD.split("\n"),
            *rows,
            "",
            f"Seconds are those of the processor. Of 100 seconds of a week's refresh, by the clock: {spent}. "
            f"The last state once more: {again.report['outcome']}, {again.seconds:.1f} s.",
        ]
    )


def write(lines: list[str]) -> None:
    path = ROOT / "docs" / "refresh.md"
    text = path.read_text(encoding="utf-8")
    table = f"<!-- bench.refresh -->\n{chr(10).join(lines)}\n<!-- end -->"
    path.write_text(
        re.sub(r"<!-- bench.refresh -->.*?<!-- end -->", lambda _: table, text, flags=re.S), encoding="utf-8"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
