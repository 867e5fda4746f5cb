"""Every file of a store truncated at random bytes, one at a time: it is named, and everything else goes on."""

import random
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from sweep.cli import main
from sweep.store import Store
from sweep.store.folding import fold

from .conftest import Lab
from .warm import Starter

pytestmark = pytest.mark.slow
QUICK = ["--set", "grid.architecture={name: slow:network, seconds: 0}", "--set", "grid.method=dense,snip"]


@pytest.fixture(scope="module")
def lab_of_all(tmp_path_factory: pytest.TempPathFactory, starter: Starter) -> Lab:
    """A store with files of every kind: single ones, folds, a sweep, a checkpoint."""
    lab = Lab(tmp_path_factory.mktemp("truncated") / "lab", starter)
    lab.run("launch", "faults.yaml", "--local", *QUICK, "--set", "grid.sparsity=0.5")
    fold(lab.store)
    lab.run("launch", "faults.yaml", "--local", *QUICK, "--set", "grid.sparsity=0.9")
    launch = lab.start("launch", "faults.yaml", "--local", "--set", "grid.method=rigl", "--set", "grid.sparsity=0.9")
    lab.wait_for(lab.store.checkpoints, launch)
    launch.kill()
    launch.wait()
    shutil.rmtree(lab.folder / "results/leases")
    return lab


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix in (".parquet", ".pt"))


def test_verify_names_it_and_report_and_launch_go_on(lab_of_all: Lab, tmp_path: Path, monkeypatch) -> None:
    draw = random.Random(0)
    whole = lab_of_all.folder / "results"
    monkeypatch.chdir(lab_of_all.folder)
    monkeypatch.syspath_prepend(lab_of_all.folder)
    expected = Store(whole).completed()
    kinds = {path.parent.name for path in files(whole)}
    assert kinds == {"trials", "epochs", "masks", "sweeps", "checkpoints"}
    for number, path in enumerate(files(whole)):
        copy = tmp_path / str(number)
        shutil.copytree(whole, copy)
        broken = copy / path.relative_to(whole)
        broken.write_bytes(broken.read_bytes()[: draw.randrange(broken.stat().st_size)])
        said = run("verify", str(copy), code=1)
        assert path.name in said, said
        report = run("report", str(copy), "--out", str(tmp_path / "report"))
        if path.parent.name == "trials":
            assert path.name in report
        arguments = [*QUICK, "--set", "grid.sparsity=0.5,0.9", "--set", f"store={copy}"]
        run("launch", "faults.yaml", "--local", *arguments)
        assert expected <= Store(copy).completed()
        if path.parent.name == "trials":
            assert (copy / "damaged" / path.relative_to(whole)).exists()


def run(*arguments: str, code: int = 0) -> str:
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == code, (arguments, done.output, done.exception)
    return done.output
