"""``sweep reproduce`` as a person types it, on hand-made runs: what it prints, writes and ends with."""

import contextlib
import csv
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from sweep.cli import main

from .conftest import Experiment

NUMBER = (
    "resnet20,snip,{sparsity},80.00,0.50,3,best over epochs,test set,160,1.94,0.8 for best instead of final,,A paper"
)
CLAIM = "resnet20,force,above,random,0.99,,,Another paper"


def sweep(*arguments: str, cwd: Path) -> SimpleNamespace:
    with contextlib.chdir(cwd):
        result = CliRunner().invoke(main, arguments)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return SimpleNamespace(returncode=result.exit_code, stdout=result.stdout, stderr=result.stderr)


@pytest.fixture
def small(experiment: Experiment) -> Experiment:
    """A number at each sparsity and a claim; runs on a JPEG copy with which all of them pass."""
    experiment.numbers(NUMBER.format(sparsity=0.9), NUMBER.format(sparsity=0.99))
    experiment.claims(CLAIM)
    runs = {("snip", 0.9): [81.0, 80.0, 79.0], ("snip", 0.99): [80.0, 80.0, 80.0]}
    runs |= {("force", 0.99): [90.0, 90.0, 91.0], ("random", 0.99): [60.0, 61.0, 62.0]}
    experiment.run(runs, data_encoding="JPEG")
    return experiment


def judge(small: Experiment, *arguments: str) -> SimpleNamespace:
    return sweep("reproduce", str(small.config), "--no-run", *arguments, cwd=small.folder)


def test_where_every_row_passes_it_prints_both_tables_and_ends_with_zero(small: Experiment) -> None:
    result = judge(small)
    assert result.returncode == 0, result.stderr
    assert "CIFAR-10 (JPEG), ResNet-20: published numbers" in result.stdout
    assert "CIFAR-10 (JPEG), ResNet-20: published claims" in result.stdout
    assert "Published: best over epochs of 160, test set; A paper." in result.stdout
    assert "Ours: test accuracy after the last of 5 epochs" in result.stdout
    assert "FORCE above Random, 99%" in result.stdout
    assert "small: 3 pass" in result.stdout


@pytest.mark.parametrize(
    ("runs", "tally"),
    [
        ({("snip", 0.99): [50.0, 50.0, 50.0]}, "2 pass, 1 fail"),
        ({("random", 0.99): [90.0, 90.1, 90.5]}, "2 pass, 1 undecided"),
        ({("snip", 0.99): [None, None, None]}, "2 pass, 1 missing"),
    ],
)
def test_a_row_that_fails_is_undecided_or_missing_gives_exit_code_1(small: Experiment, runs: dict, tally: str) -> None:
    small.run(runs, data_encoding="JPEG")
    result = judge(small)
    assert (result.returncode, tally in result.stdout) == (1, True), result.stdout + result.stderr


def test_every_copy_of_the_data_has_to_be_in_order(small: Experiment) -> None:
    small.run({("dense", 0.0): [95.0]}, data_encoding="exact")  # of which nothing that was published has run
    result = judge(small)
    assert (result.returncode, "small: 3 pass, 3 missing" in result.stdout) == (1, True)


def test_it_leaves_a_table_a_page_and_a_figure_beside_the_reports(small: Experiment) -> None:
    judge(small)
    folder = small.folder / "results/reports/small"
    with (folder / "verdict.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["panel"], row["kind"], row["verdict"]) for row in rows] == [
        ("CIFAR-10 (JPEG), ResNet-20", "number", "pass"), ("CIFAR-10 (JPEG), ResNet-20", "number", "pass"),
        ("CIFAR-10 (JPEG), ResNet-20", "claim", "pass"),
    ]  # fmt: skip
    assert (float(rows[0]["difference"]), float(rows[0]["tolerance"])) == (0, 1.94)
    assert (rows[0]["published_reading"], rows[0]["ours_epochs"]) == ("best over epochs", "5")
    page = (folder / "verdict.md").read_text()
    assert page.startswith("# small: 3 pass\n")
    assert "(reproduce-cifar10-jpeg-resnet20.png)" in page
    assert "| SNIP, 90% | 80.00 ± 1.00 (3) | 80.00 ± 0.50 (3) | +0.00 | ±1.94 | pass |" in page
    assert 'id="published/snip"' in (folder / "reproduce-cifar10-jpeg-resnet20.svg").read_text()
    assert (folder / "reproduce-cifar10-jpeg-resnet20.png").stat().st_size > 5000


def test_the_files_go_where_they_are_told_to(small: Experiment) -> None:
    judge(small, "--out", "elsewhere")
    assert {path.suffix for path in (small.folder / "elsewhere").glob("[!.]*")} == {
        ".csv",
        ".md",
        ".pdf",
        ".png",
        ".svg",
    }


def test_json_has_every_row_and_nothing_else_on_stdout(small: Experiment) -> None:
    found = json.loads(judge(small, "--json").stdout)
    assert (found["sweep"], found["in_order"], found["left_out"], len(found["rows"])) == ("small", True, 0, 3)
    claim = found["rows"][2]
    assert (claim["method"], claim["relation"], claim["reference"]) == ("force", "above", "random")
    assert claim["interval_low"] < claim["difference"] < claim["interval_high"]
    assert all(Path(path).exists() for path in found["files"])


def test_rows_that_a_setting_leaves_out_are_said_to_be(small: Experiment) -> None:
    result = judge(small, "--set", "grid.sparsity=0.9")
    assert result.returncode == 0
    assert "left out: 2 published rows outside the grid as it was set" in result.stdout


@pytest.mark.slow
def test_a_known_failure_is_printed_as_such_and_not_counted(small: Experiment) -> None:
    small.write_yaml(data="digits")
    small.claims("resnet20,force,above,random,0.99,fail,digits: not the paper's data,A paper")
    (small.folder / "published/small.csv").unlink()
    small.run({("force", 0.99): [20.0, 21.0, 22.0], ("random", 0.99): [60.0, 60.0, 60.0]})
    result = judge(small)
    assert result.returncode == 0, result.stdout
    assert "fail (known: digits: not the paper's data)" in result.stdout
    assert "small: 1 fail (1 known)" in result.stdout
    small.run({("force", 0.99): [80.0, 81.0, 82.0]})
    result = judge(small)
    assert (result.returncode, "pass (was known to fail)" in result.stdout) == (0, True)


def test_what_is_shipped_is_listed_with_its_price_and_source(tmp_path: Path) -> None:
    shown = sweep("reproduce", cwd=tmp_path).stdout
    assert "synflow_cifar10" in shown
    assert "arXiv:2006.05467" in shown
    rows = {row["name"]: row for row in json.loads(sweep("reproduce", "--list", "--json", cwd=tmp_path).stdout)}
    assert rows["force_figure1"]["trials"] == 3 * (1 + 5 * 5)
    assert (rows["force_figure1"]["epochs"], rows["force_figure1"]["data"]) == (350, "CIFAR-10")
    assert (rows["force_figure1"]["numbers"], rows["force_figure1"]["claims"]) == (0, 8)


def test_help_shows_examples_and_exit_codes(tmp_path: Path) -> None:
    shown = sweep("reproduce", "--help", cwd=tmp_path).stdout
    assert "sweep reproduce digits_figure1" in shown.split("Examples:")[1]
    assert "1: a row fails, is" in shown


BAD = {
    "unknown name": (["synflow_cifar1O"], "'synflow_cifar1O' is no shipped reproduction; did you mean 'synflow_cifar10'?"),
    "a shipped config with nothing published": (["digits"], "no shipped reproduction; did you mean 'digits_figure1'?"),
    "a path to nothing": (["absent.yaml"], "absent.yaml: there is no such config"),
    "a path without tables": (["bare.yaml"], "put bare.csv or bare.claims.csv into published"),
    "both engines": (["digits_figure1", "--local", "--address", "auto"], "give one of the two"),
    "other data": (["digits_figure1", "--no-run", "--set", "data.name=cifar10"], "what was published is about digits"),
    "an unknown key": (["digits_figure1", "--no-run", "--set", "grid.sed=0"], "did you mean 'seed'?"),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("case", BAD)
def test_bad_input_gets_one_message_exit_code_2_and_writes_nothing(case: str, tmp_path: Path) -> None:
    (tmp_path / "bare.yaml").write_text("name: bare\n")
    arguments, message = BAD[case]
    result = sweep("reproduce", *arguments, cwd=tmp_path)
    assert result.returncode == 2, result.stdout + result.stderr
    assert message in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["bare.yaml"]


def test_the_configs_of_the_working_directory_come_before_those_of_the_checkout(small: Experiment) -> None:
    configs = small.folder / "here/configs"
    (configs / "published").mkdir(parents=True)
    small.config.rename(configs / "force_figure1.yaml")
    (small.folder / "published/small.claims.csv").rename(configs / "published/force_figure1.claims.csv")
    result = sweep("reproduce", "force_figure1", "--no-run", cwd=small.folder / "here")
    assert (result.returncode, "small: 1 pass" in result.stdout) == (0, True), result.stdout + result.stderr


@pytest.mark.slow
def test_a_figure_of_an_earlier_verdict_that_is_no_longer_drawn_is_removed(small: Experiment) -> None:
    judge(small)
    folder = small.folder / "results/reports/small"
    (folder / "own.png").write_bytes(b"somebody's own")
    assert len(list(folder.glob("reproduce-*"))) == 3  # PNG, SVG, PDF
    small.run({("snip", 0.9): [81.0]}, data_encoding="exact")
    judge(small)
    assert len(list(folder.glob("reproduce-*"))) == 6
    for file in (small.folder / "results/trials").glob("*.parquet"):
        file.unlink()
    judge(small)
    assert not list(folder.glob("reproduce-*")) and (folder / "own.png").exists()
