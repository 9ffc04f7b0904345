"""The shipped database with rows that nobody would write by mistake: every text column of every table is hostile."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from flywheel.schema import TABLES

# Whatever of these runs calls this function of the page.
ALARM = "window.ran=1"
STRINGS = [
    f"<script>{ALARM}</script>",
    f"\"><img src=x onerror='{ALARM}'>",
    f"'><svg/onload={ALARM}>",
    f"</script></style></textarea></title><body onload={ALARM}>",
    f"javascript:{ALARM}",
    f'https://example.org/" onmouseover="{ALARM}" x=\'',
    f"data:text/html,<script>{ALARM}</script>",
    "{{ 7*191 }}{% raise %}{# ${7*191} #}<%= 7*191 %>",
    "⟦<b>⟧⟦⟦x⟧⟧<mark>",
    "\u202egnp.exe\u2066\u200b\u0085\x01\x08\x1b[31m\x7f",
    "عربي עברית " * 20,
    "👩‍👩‍👧‍👦🏳️‍🌈\U000e0001" * 40,
    "Z̷̡͖͇a̸͕͌l̶̰̈g̵̱̃o̷̪͝" * 30,
    "a" * 5_000,
    "' or 1=1 -- \"; drop table signals; \\",
    '=HYPERLINK("http://example.org";"x")',
    "../../../etc/passwd",
    "\n\r\n\tSet-Cookie: x=1",
    "<" * 1_000_000,
]


def make(shipped: Path, out: Path) -> Path:
    """Copies `shipped` and adds, for each string, a row to each table in which all text is that string; and writes
    some into rows that pages show. What a table's own checks refuse stays as it was."""
    shutil.copy(shipped, out)
    with closing(sqlite3.connect(out, isolation_level=None)) as database:
        database.execute("pragma foreign_keys = off")
        database.execute("begin")
        for table in TABLES:
            columns = database.execute(f"pragma table_info([{table}])").fetchall()
            texts = [name for _, name, kind, *_ in columns if kind.upper() == "TEXT"]
            names = ", ".join(f"[{name}]" for _, name, *_ in columns)
            for number, string in enumerate(STRINGS):
                # A million characters in thirty columns of fifty rows are no page any more: there, in one column.
                given = {
                    name: string if len(string) < 100_000 or name == "gist" else f"long {number}" for name in texts
                }
                # What is counted as a list is one in every row: `load` writes it. The words in it are hostile.
                given.update({name: json.dumps([given[name]]) for name in {"themes", "also"} & given.keys()})
                values = ", ".join(f":{name}" if name in given else f"[{name}]" for _, name, *_ in columns)
                with suppress(sqlite3.IntegrityError):
                    database.execute(
                        f"insert into [{table}] ({names}) select {values} from [{table}] limit 1",
                        given,
                    )
                for name in texts:
                    with suppress(sqlite3.IntegrityError):
                        database.execute(
                            f"update [{table}] set [{name}] = ? where rowid in"
                            f" (select rowid from [{table}] order by rowid limit 1 offset ?)",
                            [given[name], 40 + number],
                        )
        database.execute("insert into signals_fts(signals_fts) values ('rebuild')")
        database.execute("commit")
    return out
