"""A store on every backend. Launches draw no figures, which takes seconds each; override `no_figures` to have them."""

import re
from pathlib import Path
from typing import Any

import pytest

from sweep.report import report
from sweep.store import Store

from .store.helpers import AWS


@pytest.fixture(autouse=True)
def no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """A report is its tables alone."""

    def draw(*arguments: Any, **options: Any) -> dict[str, Any]:
        return {}

    monkeypatch.setattr(report, "_draw", draw)


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody whom S3 knows."""
    for key, value in AWS.items():
        monkeypatch.setenv(key, value)


@pytest.fixture(params=["local", pytest.param("s3", marks=pytest.mark.slow)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """An absent store, on every backend that there is."""
    if request.param == "local":
        return Store(tmp_path / "results")
    request.getfixturevalue("aws")
    prefix = re.sub(r"\W+", "-", request.node.name)
    found = Store(f"s3://store-tests/{prefix}?{request.getfixturevalue('s3')}")
    found.files.fs.create_dir("store-tests")
    return found


@pytest.fixture
def local(tmp_path: Path) -> Store:
    """An absent store on the disk, for what can only be done to files there."""
    return Store(tmp_path / "results")
