"""Methods and networks of one's own in other processes, which know them by nothing but the config."""

import json
import os
import shutil
import sys
import tempfile

import pytest
from click.testing import CliRunner

from sweep.cli import main
from sweep.config.trial_config import trial_from
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

# In a package that is called as one of ours
NETWORK = """
from torch import nn

def build(classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, classes))
"""

CONFIG = """
name: own
data: digits
grid:
  architecture: ["training.nets:build", "training/nets.py:build"]
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
    (tmp_path / "training").mkdir()
    (tmp_path / "training/nets.py").write_text(NETWORK)
    yield tmp_path
    sys.modules.pop("my_methods", None)
    shutil.rmtree(scratch, ignore_errors=True)


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [[], ["--jobs", "2", "--local"]], ids=["ray", "jobs"])
def test_the_processes_that_run_trials_find_a_method_with_its_preset_and_networks_in_a_package_called_as_ours(
    folder, arguments
):
    result = CliRunner().invoke(main, ["launch", "own.yaml", *arguments])
    assert result.exit_code == 0, result.output
    assert str(os.getpid()) not in (folder / "processes").read_text().split()
    store = Store("results")
    records = [store.trial(name) for name in store.trials()["trial_id"].to_pylist()]
    assert {record.architecture for record in records} == {"training.nets:build", "training/nets.py:build"}
    for record in records:
        assert (record.status, record.method_label) == ("completed", "my_methods:thrice")
        assert [r.round for r in record.rounds] == [1, 2, 3]
        assert trial_from(json.loads(record.config)).method.name == "my_methods:thrice"
    assert len({record.mask_hash for record in records}) == 1
