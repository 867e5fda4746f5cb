"""Of which code a record speaks: a commit only where the code lies in a checkout of its own, the version always."""

import shutil
import subprocess
from pathlib import Path

import pytest

from sweep.trial import checkout
from sweep.trial.provenance import code


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=n", "-c", "user.email=e@x"]
    done = subprocess.run(["git", "-C", str(folder), *identity, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Somebody's own repository, with a commit."""
    folder = tmp_path / "own"
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / "own.py").write_text("")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "own")
    return folder


def copied(folder: Path) -> Path:
    """A copy of this package's code, and of what names its version."""
    package = folder / "sweep"
    package.mkdir(parents=True)
    shutil.copy(checkout.PACKAGE / "__init__.py", package)
    shutil.copy(checkout.PACKAGE.parent / "pyproject.toml", folder)
    return package


def test_code_in_an_environment_inside_another_repository_has_no_commit(repository: Path) -> None:
    package = copied(repository / ".venv/lib/python3/site-packages")
    assert checkout.commit(package) is None
    git(repository, "add", "-f", ".venv")  # some do that, too
    git(repository, "commit", "-qm", "environment")
    assert checkout.commit(package) is None


def test_a_copy_at_the_top_of_a_repository_that_does_not_track_it_has_no_commit(repository: Path) -> None:
    assert checkout.commit(copied(repository / "x").rename(repository / "sweep")) is None


def test_code_in_its_own_checkout_has_its_commit(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "checkout"
    package = copied(own)
    git(own, "init", "-q")
    git(own, "add", ".")
    git(own, "commit", "-qm", "code")
    monkeypatch.setenv("GIT_DIR", str(repository / ".git"))  # as in a hook of another repository
    name = subprocess.run(["git", f"--git-dir={own}/.git", "rev-parse", "HEAD"], capture_output=True, text=True).stdout
    assert checkout.commit(package) == (name.strip(), False)
    (package / "__init__.py").write_text("changed")
    assert checkout.commit(package) == (name.strip(), True)


def test_the_version_is_told_without_an_installation(tmp_path: Path) -> None:
    package = copied(tmp_path / "code")
    assert checkout.version(package) == checkout.version() is not None
    (tmp_path / "code/pyproject.toml").write_text("[project]\nname = 'other'\nversion = '3'")
    assert checkout.version(package) is None
    (tmp_path / "code/pyproject.toml").write_text("[project")
    assert checkout.version(package) is None
    assert '"sweep": "' in code()["versions"]
