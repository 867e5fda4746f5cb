"""A method of one's own in the processes of Ray, which know it by nothing but the config."""

import json
import os
import shutil
import sys
import tempfile

import pytest
from click.testing import CliRunner

from sweep.cli import main
from sweep.config import trial_from
from sweep.store import Store

# Ray and what it imports warn of their own affairs
pytestmark = pytest.mark.filterwarnings("default")

METHODS = """
import os
from pathlib import Path
from pruning import register

@register("thrice", paper="ours", rounds=3, recover=True)
def thrice(problem):
    with open(Path(__file__).with_name("processes"), "a") as notes:
        notes.write(f"{os.getpid()}\\n")
    return problem.gradients()
"""

CONFIG = """
name: own
data: digits
grid:
  architecture: {name: vgg_digits, width: 4, depth: 3}
  method: "my_methods:thrice"
  sparsity: 0.9
  seed: 0
training: {epochs: 1}
tracking: {enabled: false}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder to run in, a short one for Ray's scratch, and an interpreter that is as before afterwards."""
    scratch = tempfile.mkdtemp(prefix="t", dir="/tmp")
    monkeypatch.setenv("RAY_TMPDIR", scratch)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_methods.py").write_text(METHODS)
    (tmp_path / "own.yaml").write_text(CONFIG)
    yield tmp_path
    sys.modules.pop("my_methods", None)
    shutil.rmtree(scratch, ignore_errors=True)


@pytest.mark.slow
def test_the_processes_that_run_trials_find_a_method_by_its_path_and_with_its_preset(folder):
    result = CliRunner().invoke(main, ["launch", "own.yaml"])
    assert result.exit_code == 0, result.output
    assert str(os.getpid()) not in (folder / "processes").read_text().split()
    store = Store("results")
    [name] = store.trials()["trial_id"].to_pylist()
    record = store.trial(name)
    assert (record.status, record.method_label) == ("completed", "my_methods:thrice")
    assert [r.round for r in record.rounds] == [1, 2, 3]
    assert trial_from(json.loads(record.config)).method.name == "my_methods:thrice"
