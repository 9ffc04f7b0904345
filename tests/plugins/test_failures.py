"""A page that is not there is told to the reader, not to the log with all its locals."""

from pathlib import Path

import pytest

from tests.served import ask


def test_a_missing_page_prints_no_traceback(database: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("rich")
    assert ask(database, ["/themes/vibes", "/export/nope"])["/export/nope"].status_code == 404
    printed = capsys.readouterr()
    assert "locals" not in printed.out + printed.err and "Traceback" not in printed.out
