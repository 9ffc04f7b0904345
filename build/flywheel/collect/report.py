"""The report of a run, as text for people."""

from collections import Counter

from flywheel.collect.runner import RunReport, SourceReport


def as_text(report: RunReport) -> str:
    """A few lines a source: what was asked, what came of it, and every window that is not complete."""
    lines = [f"run of {report.started}"]
    for source in report.sources:
        lines += _source(source)
    if report.erased:
        lines.append(f"erased and tombstoned: {len(report.erased)}")
    return "\n".join(lines)


def _source(source: SourceReport) -> list[str]:
    c = source.counts
    if source.skipped and not source.asked:
        return [f"{source.source}: skipped: {source.skipped}", *_resume(source)]
    lines = [
        f"{source.source}: asked {source.asked}, got {c.got}: "
        f"new {c.new}, changed {c.changed}, same {c.same}, gone {c.gone}, quarantined {c.quarantined}, "
        f"unused {c.unused}, refused by tombstone {c.tombstoned}; looked up again {source.rechecked}"
    ]
    verdicts = Counter(w.verdict for w in source.windows)
    lines.append("  windows: " + (", ".join(f"{n} {v}" for v, n in sorted(verdicts.items())) or "none"))
    for window in source.windows:
        if window.verdict != "complete":
            span = f"{window.since} to {window.until}"
            lines.append(f"  {window.verdict}: {window.query} {span}: {window.reason}")
    lines += [f"  left out: {what}" for what in source.left_out]
    if source.skipped:
        lines.append(f"  {source.skipped}")
    if source.failed:
        lines.append(f"  {source.failed}")
    return lines + _resume(source)


def _resume(source: SourceReport) -> list[str]:
    return [f"  goes on after {source.resume_after}"] if source.resume_after else []
