"""Every snippet of docs/analysis.md runs, in the order of the page, and says what the runs are."""

import re
import shlex
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from click.testing import CliRunner

from sweep.cli import main
from sweep.records import RoundRecord, SweepRecord
from sweep.store import Store

PAGE = (Path(__file__).parents[3] / "docs/analysis.md").read_text(encoding="utf-8")
SNIP = {0: 0.50, 1: 0.52, 2: 0.54}  # by seed
FORCE = {0: 0.60, 1: 0.61, 2: 0.65}
RANDOM = {0: 0.40, 1: 0.10, 2: 0.42}  # seed 1 ended at chance


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def folder(local: Store, outcome, monkeypatch) -> Path:
    """Where results/ has the sweep "digits", and another that shares its trials of seed 0."""
    number, shared = 0, []
    for method, accuracies in (("snip", SNIP), ("force", FORCE), ("random", RANDOM)):
        for sparsity in (0.9, 0.99):
            for seed, accuracy in accuracies.items():
                facts = {"method": method, "method_label": method, "sparsity": sparsity, "seed": seed}
                rounds = (RoundRecord(1, 0.5, 4, 3, 4),)
                config = '{"training": {"epochs": 2}, "pruning": {"batches": 1}}'
                record = outcome(
                    f"{number:016x}", sweep="digits", test_accuracy=accuracy, rounds=rounds, config=config, **facts
                )
                local.write(record)
                shared += [record.trial.trial_id] if seed == 0 else []
                number += 1
    ids = tuple(f"{trial:016x}" for trial in range(number))
    for name, trials in (("digits", ids), ("other", tuple(shared))):
        local.write_sweep(SweepRecord(name, "{}", trials, datetime(2026, 1, 1, tzinfo=UTC)))
    monkeypatch.chdir(local.local.parent)
    return local.local.parent


def test_the_python_of_the_page_runs_and_its_numbers_are_those_of_the_runs(folder: Path) -> None:
    names: dict[str, Any] = {}
    for block in blocks("python"):
        exec(block, names)
    assert len(names["trials"]) == 18
    assert (folder / "accuracy.pdf").read_bytes().startswith(b"%PDF")
    points = {line.get_label(): list(line.get_ydata()) for line in names["axes"].get_lines()}
    assert points == {
        "FORCE": pytest.approx([0.62, 0.62]), "SNIP": pytest.approx([0.52, 0.52]), "Random": pytest.approx([0.41, 0.41]),
    }  # fmt: skip
    paired = names["paired"].set_index("method")
    assert paired.loc["FORCE", "minus SNIP"] == pytest.approx(10)  # of 10, 9 and 11 points
    half = 4.302652729911275 * 1 / 3**0.5  # t of 2 degrees of freedom, times s / √n
    assert (paired.loc["FORCE", "low"], paired.loc["FORCE", "high"]) == pytest.approx((10 - half, 10 + half))
    assert paired.loc["FORCE", "Holm p"] == pytest.approx(2 * paired.loc["FORCE", "p"])
    assert list(names["curves"].columns) == ["method_name", "epoch", "accuracy"]
    assert len(names["curves"]) == 3 * 2 and len(names["layers"]) == 3 and len(names["regrown"]) == 3
    assert names["mask"].tolist() == names["masks"]["0.weight"].tolist() == [[True, False] * 2, [False, True] * 2]


def test_the_query_groups_by_sweep_and_counts_runs_at_chance_beside_the_mean(folder: Path) -> None:
    query, _ = blocks("sql")
    Path("accuracy.sql").write_text(query)
    first, second, third, fourth = (line.removeprefix("$ sweep ") for line in blocks("console")[0].splitlines())
    printed = [line.split("  ") for line in command(first).splitlines()[2:]]
    rows = [tuple(cell.strip() for cell in line if cell.strip()) for line in printed]
    assert [row for row in rows if row[4] == "0.99"] == [
        ("digits", "digits", "small VGG", "FORCE", "0.99", "62.0", "3", "3"),
        ("digits", "digits", "small VGG", "Random", "0.99", "41.0", "2", "3"),
        ("digits", "digits", "small VGG", "SNIP", "0.99", "52.0", "3", "3"),
        ("other", "digits", "small VGG", "FORCE", "0.99", "60.0", "1", "1"),
        ("other", "digits", "small VGG", "Random", "0.99", "40.0", "1", "1"),
        ("other", "digits", "small VGG", "SNIP", "0.99", "50.0", "1", "1"),
    ]
    command(second)
    assert r"digits & digits & small VGG & FORCE & 0.9 & 62.0 & 3 & 3 \\" in Path("accuracy.tex").read_text()
    assert command(third).startswith("| method_name | seconds |\n| :-- | --: |\n")
    assert command(fourth).startswith("trials: one row is a trial")


def test_the_query_of_the_files_agrees(folder: Path) -> None:
    rows = duckdb.sql(blocks("sql")[1]).fetchall()
    assert [row for row in rows if row[3] == 0.99] == [
        ("digits", "vgg_digits", "force", 0.99, 0.62, 3),
        ("digits", "vgg_digits", "random", 0.99, 0.3067, 3),
        ("digits", "vgg_digits", "snip", 0.99, 0.52, 3),
    ]


def command(line: str) -> str:
    result = CliRunner().invoke(main, shlex.split(line))
    assert result.exit_code == 0, result.stderr
    return result.stdout
