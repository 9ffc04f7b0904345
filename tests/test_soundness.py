"""May a build be published? One made-up fault a check, each of which alone must say so."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from flywheel import queries, soundness
from flywheel.diff import Diff
from flywheel.soundness import Database, Facts
from tests.conftest import ROOT

READ, MACHINE = frozenset(f"r{n}" for n in range(1000)), frozenset(f"m{n}" for n in range(100))
GOOD = Database(
    rows={"signals": 1100, "codings": 5},
    read=READ,
    machine=MACHINE,
    folded=frozenset(),
    queries={"headline": 3},
    mean={"headline evaluate": (0.7, 0.65, 0.75)},
)
FACTS = Facts(GOOD, GOOD, frozenset(), {"github": "complete"}, Diff([], [], 0, {}), {"/": ""})


def cut(ids: frozenset[str], count: int) -> frozenset[str]:
    return frozenset(sorted(ids)[count:])


def after(**changed: object) -> Facts:
    return replace(FACTS, after=replace(GOOD, **changed))  # type: ignore[arg-type]


CASES = {
    "nothing": (FACTS, "", "holds"),
    "the first": (replace(FACTS, before=None), "published file", "flag"),
    "an empty table": (after(rows={"signals": 1100, "codings": 0}), "tables", "fails"),
    "a collapse": (after(read=cut(READ, 11)), "read posts", "fails"),
    "a few gone": (after(read=cut(READ, 10)), "read posts", "flag"),
    "folded are not gone": (after(read=cut(READ, 50), folded=READ - cut(READ, 50)), "read posts", "holds"),
    "machine collapse": (after(machine=cut(MACHINE, 21)), "machine-read signals", "fails"),
    "machine few": (after(machine=cut(MACHINE, 20)), "machine-read signals", "flag"),
    "a wave": (
        replace(after(read=cut(READ, 100)), tombstones=READ - cut(READ, 100)),
        "deletions",
        "flag",
    ),
    "some deleted": (replace(after(read=cut(READ, 50)), tombstones=READ - cut(READ, 50)), "deletions", "holds"),
    "a dead source": (replace(FACTS, sources={"github": "not read"}), "sources", "flag"),
    "an empty query": (after(queries={"headline": 0}), "canned queries", "fails"),
    "a broken query": (after(queries={"headline": "no such table"}), "canned queries", "fails"),
    "a query as empty as before": (
        replace(after(queries={"new": 0}), before=replace(GOOD, queries={"new": 0})),
        "canned queries",
        "flag",
    ),
    "a jump": (after(mean={"headline evaluate": (0.8, 0.75, 0.85)}), "headline", "flag"),
    "a step": (after(mean={"headline evaluate": (0.74, 0.7, 0.78)}), "headline", "holds"),
    "no mean any more": (after(mean={}), "headline", "flag"),
    "a place": (replace(FACTS, diff=Diff([], [], 0, {"hub": "leaves"})), "places", "flag"),
    "a broken page": (replace(FACTS, pages={"/": "", "/memo": "500"}), "site", "fails"),
    "no page": (replace(FACTS, pages={}), "site", "fails"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_fault_is_told_by_its_own_check_alone(name: str) -> None:
    facts, check, level = CASES[name]
    found = {v.check: v.level for v in soundness.judge(facts) if v.level != "holds"}
    assert found == ({check: level} if level != "holds" else {})
    assert soundness.may_publish(soundness.judge(facts)) == (level != "fails")


def test_every_check_has_a_case_that_is_not_sound() -> None:
    assert {check for _, check, level in CASES.values() if level != "holds"} == set(soundness.CHECKS)


def test_what_is_meant_can_be_accepted_and_a_broken_site_cannot() -> None:
    facts = replace(CASES["machine collapse"][0], pages={"/": "500"})
    found = {v.check: v for v in soundness.judge(facts, ["machine-read signals", "site"]) if v.level != "holds"}
    assert (found["machine-read signals"].level, found["site"].level) == ("flag", "fails")
    assert found["machine-read signals"].why.startswith("accepted: 21 of 100")
    assert set(soundness.ACCEPTABLE) < set(soundness.CHECKS)


def test_facts_of_the_shipped_database(database: Path) -> None:
    known = queries.load(ROOT / "canned_queries")
    found = soundness.database(database, known.values())
    assert len(found.read) == found.rows["signals"] + found.rows["screened"] - len(found.machine)
    assert {"of_100 train", "headline evaluate"} <= found.mean.keys()
    assert found.queries.keys() == known.keys() and all(type(rows) is int and rows for rows in found.queries.values())


def test_a_query_that_fails_is_a_fact(database: Path) -> None:
    broken = queries.Query("broken", "Broken", "Broken.", "select 1 from nowhere")
    assert soundness.database(database, [broken]).queries == {"broken": "no such table: nowhere"}
