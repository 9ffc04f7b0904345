"""What several test files share: the database that a build makes from the shipped data."""

from pathlib import Path

import pytest
from flywheel import pipeline

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """signals.db, built once a session from data/ (3 seconds)."""
    out = tmp_path_factory.mktemp("database") / "signals.db"
    pipeline.build(ROOT / "data", out)
    return out
