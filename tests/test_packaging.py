"""What an installed package has beside the code, tried in an empty folder."""

import json
import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # launches, trainings or processes

ROOT = Path(__file__).parents[1]
SETUPTOOLS = int(version("setuptools").partition(".")[0])
PARTS = ("sweep", "pruning", "training")
COMMANDS = """
import json, sys
import sweep
from sweep.cli import main
print(sweep.__file__)
for command in json.loads(sys.argv[1]):
    try:
        main(command, standalone_mode=False)
    except SystemExit as exit:
        print("exit code", exit.code)
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what a wheel is built from: building writes into its source."""
    source = tmp_path_factory.mktemp("source")
    leave_out = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for part in (*PARTS, "configs"):
        shutil.copytree(ROOT / part, source / part, symlinks=True, ignore=leave_out)
    for file in ("README.md", "LICENSE"):
        shutil.copy(ROOT / file, source)
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8").splitlines()
    kept = [line for line in project if not line.startswith("license")]  # which setuptools before 77 reads otherwise
    (source / "pyproject.toml").write_text("\n".join(kept), encoding="utf-8")
    return source


@pytest.fixture(scope="module")
def installed(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that a wheel is made of, and unpacked to."""
    library = tmp_path_factory.mktemp("installed")
    build = "import setuptools; setuptools.setup()"
    command = [sys.executable, "-W", "ignore", "-c", build, "--quiet", "build_py", "--build-lib", str(library)]
    subprocess.run(command, cwd=source, check=True, capture_output=True, text=True)
    return library


def run(installed: Path, folder: Path, *commands: list[str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", COMMANDS, json.dumps(commands)]
    environment = os.environ | {"PYTHONPATH": str(installed)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(installed))
    return done


def test_a_wheel_has_all_code_and_all_configs_and_nothing_else(installed: Path) -> None:
    def files(folder: Path, *endings: str) -> set[str]:
        return {str(path.relative_to(folder.parent)) for end in endings for path in folder.rglob(f"*{end}")}

    found = {str(path.relative_to(installed)) for path in installed.rglob("*") if path.is_file()}
    typed = {f"{part}/py.typed" for part in PARTS}
    code = {name for part in PARTS for name in files(ROOT / part, ".py")}
    page = files(ROOT / "sweep", ".html", ".css", ".js")
    assert len(page) == 3
    assert found == code | typed | page | {f"sweep/{name}" for name in files(ROOT / "configs", ".yaml", ".csv")}


def test_shipped_sweeps_and_published_numbers_are_there_without_a_checkout(installed: Path, tmp_path: Path) -> None:
    done = run(installed, tmp_path, ["reproduce"], ["plan", "digits", "--json"], ["launch", "configs/digits.yaml"])
    listed, _, rest = done.stdout.partition("{")
    expected = {path.name.partition(".")[0] for path in (ROOT / "configs/published").iterdir()}
    assert expected <= set(listed.split())
    plan, _ = json.JSONDecoder().raw_decode("{" + rest)
    assert (plan["sweep"], plan["missing"]) == ("digits", len(plan["trials"]))
    packaged = installed / "sweep/configs/digits.yaml"
    hint = f"configs/digits.yaml: there is no such file; the shipped one is called digits alone, and is {packaged}"
    assert hint in done.stderr and done.stdout.endswith("exit code 2\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(SETUPTOOLS < 77, reason="pyproject.toml asks for setuptools 77 or newer to build")
def test_a_wheel_that_is_built_and_installed_plans_and_lists_in_an_empty_folder(source: Path, tmp_path: Path) -> None:
    wheels, library, empty = tmp_path / "wheels", tmp_path / "library", tmp_path / "empty"
    empty.mkdir()
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    build = [*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(wheels), str(source)]
    subprocess.run(build, check=True, capture_output=True, text=True)
    [wheel] = wheels.glob("sweep-*.whl")
    install = [*pip, "install", "--no-deps", "--no-index", "--target", str(library), str(wheel)]
    subprocess.run(install, check=True, capture_output=True, text=True)

    def sweep(*arguments: str) -> str:
        environment = os.environ | {"PYTHONPATH": str(library)}
        command = [str(library / "bin/sweep"), *arguments]
        done = subprocess.run(command, cwd=empty, env=environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout

    plan = json.loads(sweep("plan", "digits", "--json"))
    assert plan["missing"] == len(plan["trials"]) > 0
    listed = sweep("reproduce")
    assert all(path.name.partition(".")[0] in listed for path in (ROOT / "configs/published").iterdir())
    assert list(empty.iterdir()) == []
