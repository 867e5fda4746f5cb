"""A finished sweep on a store that takes nothing any more."""

import contextlib
import errno
import os
from pathlib import Path
from typing import Any

import pytest

from sweep.store import files

from ..small import DIGITS, QUICK, sweep


def test_a_finished_sweep_on_a_read_only_store_has_nothing_to_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = [*QUICK, "grid.method=magnitude", "training.epochs=1", "tracking.enabled=false"]
    arguments = ["launch", str(DIGITS), "--local", *(word for setting in settings for word in ("--set", setting))]

    def refuse(*arguments: Any) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    with contextlib.chdir(tmp_path):
        assert sweep(*arguments).code == 0
        monkeypatch.setattr(files, "_write_atomically", refuse)
        again = sweep(*arguments, "--set", "compute.max_failures=1")  # which a launch would otherwise note
    assert again.code == 0 and "digits: nothing to run, all 1 trials are completed." in again.out
    assert "this launch is not recorded: store: cannot write sweeps/digits.parquet" in again.out
