"""The version of the code: changes where a result may change, and says where it differs."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from sweep.trial import checkout, code_version
from sweep.trial.code_version import CodeVersion, difference, other_releases, sources

SAME = CodeVersion("1" * 16, {"own.py:method": "hash 2"}, {"torch": "2.13.0"})


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for package in ("pruning", "training", "sweep"):
        shutil.copytree(checkout.PACKAGE.parent / package, tmp_path / package, ignore=shutil.ignore_patterns("__pyc*"))
    return tmp_path


@pytest.mark.parametrize(
    ("file", "counts"),
    [
        ("pruning/methods/snip.py", True),
        ("training/loop.py", True),
        ("sweep/records.py", True),
        ("sweep/trial/run.py", True),
        ("sweep/report/report.py", False),
        ("sweep/cli/run.py", False),
        ("training/notes.txt", False),
        ("training/.loop.py", False),
    ],
)
def test_a_changed_line_counts_where_a_trial_can_import_it(copy, file, counts):
    assert sources(copy) == sources()
    with (copy / file).open("a") as opened:
        opened.write("# another line\n")
    sources.cache_clear()
    assert (sources(copy) != sources()) == counts


def test_a_renamed_file_is_other_code(copy):
    (copy / "pruning/methods/snip.py").rename(copy / "pruning/methods/other.py")
    assert sources(copy) != sources()


def test_code_without_git_is_compared_too(copy):
    assert checkout.commit(copy / "sweep") is None
    assert sources(copy) == sources()


def test_other_sources_are_named_with_the_machine_and_both_hashes(monkeypatch):
    monkeypatch.setattr(code_version.socket, "gethostname", lambda: "worker-7")
    assert difference(SAME, SAME) is None
    different = difference(replace(SAME, sources="3" * 16), SAME)
    assert different is not None
    assert all(part in different for part in ("worker-7", "3" * 16, "1" * 16, "launch again"))


def test_another_file_of_ones_own_method_is_other_code():
    assert "own.py:method" in str(difference(replace(SAME, own={"own.py:method": "hash 4"}), SAME))
    assert difference(replace(SAME, own={}), SAME) is None  # this trial has none


def test_another_release_of_torch_is_remarked_on_and_another_build_is_not(monkeypatch):
    older = replace(SAME, releases={"torch": "2.12.1"})
    assert difference(older, SAME) is None
    assert "torch 2.12.1 (2.13.0 where the launch runs)" in str(other_releases(older, SAME))
    assert other_releases(SAME, SAME) is None
    monkeypatch.setattr(code_version.metadata, "version", lambda name: "2.13.0+cu130")
    code_version.releases.cache_clear()
    assert code_version.releases()["torch"] == "2.13.0"
    monkeypatch.undo()
    code_version.releases.cache_clear()


def test_ones_own_method_and_network_are_known_by_their_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text("def score(problem, weights): ...\ndef network(classes): ...\n")
    version = code_version.code_version(["mine.py:score", "snip"], ["mine.py:network"])
    assert set(version.own) == {"mine.py:score", "mine.py:network"}
    assert len(set(version.own.values())) == 1
