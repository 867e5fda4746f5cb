"""Launches draw no figures in the tests of this folder, which takes seconds each; override `no_figures` to have them."""

from typing import Any

import pytest

from sweep.report import report


@pytest.fixture(autouse=True)
def no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """A report is its tables alone."""

    def draw(*arguments: Any) -> dict[str, Any]:
        return {}

    monkeypatch.setattr(report, "_draw", draw)
