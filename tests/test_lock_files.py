"""The lock files: every package pinned and hashed, and nothing that holds on one machine only."""

from __future__ import annotations

import re
import tomllib

import pytest

from tests.conftest import ROOT


@pytest.mark.parametrize(
    "name", ["requirements.txt", "requirements-dev.txt", "requirements-datasette1.txt", "requirements-scale.txt"]
)
def test_every_package_is_pinned_and_hashed(name: str) -> None:
    text = (ROOT / name).read_text()
    packages = re.split(r"^(?=[a-zA-Z0-9])", text, flags=re.MULTILINE)[1:]
    assert len(packages) > 40
    for package in packages:
        assert re.match(r"[\w.-]+(\[[\w,]+\])?==[\w.]+", package), package
        assert "--hash=sha256:" in package, package
    assert not re.search(r"index-url|find-links|trusted-host|https?://|file:|/opt|@ ", text)


def test_the_project_pins_what_it_names() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lock = (ROOT / "requirements.txt").read_text()
    for requirement in project["dependencies"]:
        assert f"\n{requirement}" in lock.replace("_", "-"), requirement
