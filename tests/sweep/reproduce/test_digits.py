"""The paper's claims on digits, for real: every trial is run, and its verdict is the README's."""

import csv
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from sweep.cli import main
from sweep.store import Store


@pytest.mark.slow
@pytest.mark.timeout(1800)  # two minutes on a core of its own
def test_on_digits_snip_ends_below_random_and_force_and_iter_snip_above(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ["reproduce", "digits_figure1", "--local", "--json", "--set", "tracking.enabled=false"]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    verdicts = {(row["method"], row["relation"]): row for row in json.loads(result.stdout)["rows"]}
    outcomes = {key: (row["verdict"], bool(row["known"])) for key, row in verdicts.items()}
    assert outcomes == {
        ("snip", "below"): ("pass", False),
        ("grasp", "below"): ("fail", True),
        ("iter_snip rounds=20", "above"): ("pass", False),
        ("force rounds=20", "above"): ("pass", False),
    }
    accuracies: dict[str, list[float]] = {}
    for row in Store(tmp_path / "results").trials().to_pylist():
        accuracies.setdefault(row["method"], []).append(row["test_accuracy"])
    means = {method: sum(values) / len(values) for method, values in accuracies.items()}
    assert {len(values) for values in accuracies.values()} == {6}
    assert means["snip"] < means["random"] < means["force"]
    with (tmp_path / "results/reports/digits_figure1/verdict.csv").open() as file:
        [snip] = [row for row in csv.DictReader(file) if row["method"] == "snip"]
    assert float(snip["ours_mean"]) == pytest.approx(100 * means["snip"])
    again = CliRunner().invoke(main, [*arguments, "--no-run"])
    assert (again.exit_code, json.loads(again.stdout)) == (0, json.loads(result.stdout))
