"""Workers import the project that the driver runs, whatever lies in the working folder. On Ray: test_on_ray.py."""

import subprocess
import sys
from pathlib import Path

import pytest

from sweep import imports
from sweep.store import Store

TINY = """
name: tiny
data: digits
grid: {architecture: ["own:network", "own:leaves"], method: magnitude, sparsity: 0.9, seed: 0}
training: {epochs: 1, batch_size: 512}
compute: {max_failures: 0}
tracking: {enabled: false}
"""
OWN = """
import sys
from torch import nn

class Leaves(nn.Flatten):
    def forward(self, images):
        if self.training and len(images) > 2:  # and not where the plan tries it
            sys.exit("enough")
        return super().forward(images)

def network(classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, classes))

def leaves(classes):
    return nn.Sequential(Leaves(), nn.Linear(64, classes))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder as people of this trade have them, with a network of their own."""
    (tmp_path / "pruning").mkdir()
    (tmp_path / "training.py").write_text("raise SystemError('of the working folder')")
    (tmp_path / "tiny.yaml").write_text(TINY)
    (tmp_path / "own.py").write_text(OWN)
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("command", ["script", "module"])
def test_a_folder_pruning_and_a_file_training_in_the_working_folder_hide_nothing(folder: Path, command: str) -> None:
    if command == "script":  # whose name may be that of a file there, too
        (folder / "sweep.py").write_text("raise SystemError('of the working folder')")
    begin = [str(Path(sys.executable).with_name("sweep"))] if command == "script" else [sys.executable, "-m", "sweep"]
    arguments = ["launch", "tiny.yaml", "--local", *(["--jobs", "2"] if command == "script" else [])]
    ran = subprocess.run([*begin, *arguments], cwd=folder, capture_output=True, text=True, timeout=200)
    records = {row["architecture"]: row for row in Store(folder / "results").trials().to_pylist()}
    assert records["own:network"]["status"] == "completed", ran.stderr
    # a network that leaves is a failed trial, and no end of the launch
    assert (records["own:leaves"]["status"], records["own:leaves"]["error_type"]) == ("failed", "SystemExit")
    assert records["own:leaves"]["error_message"] == "a method or network called sys.exit('enough')"
    assert ran.returncode == 1


def test_beside_a_script_and_in_a_notebook_neither(folder: Path) -> None:
    (folder / "script.py").write_text(
        "import sweep; from importlib.util import find_spec; print(*(find_spec(n).origin for n in ('pruning', 'training')))"
    )
    ran = subprocess.run([sys.executable, "script.py"], cwd=folder, capture_output=True, text=True, timeout=60)
    root = Path(imports.ROOT)
    assert ran.stdout.split() == [str(root / name / "__init__.py") for name in ("pruning", "training")], ran.stderr


def test_on_another_machine_its_own_install_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", ["own"])
    imports.take_over([str(tmp_path), "/there/is/no/such/folder"], same_machine=False)
    assert sys.path == ["own", str(tmp_path)]
    imports.take_over(["of the driver"], same_machine=True)
    assert sys.path == ["of the driver"]
