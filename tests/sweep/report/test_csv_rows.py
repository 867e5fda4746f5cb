import csv
import io
import typing

from sweep.records import TrialRecord
from sweep.report import best_cells, summary_rows
from sweep.report.csv_rows import to_csv
from sweep.store import Store

from .conftest import MakeStore, trial

FIRST = [
    *("data_name", "architecture_name", "method_name", "sparsity", "setting"),
    *("mean", "low", "high", "std", "n"),
]
NO_DIAGNOSTICS = {"classes", "threads", "git_dirty"}  # facts of the data and of the machine
OTHERWISE = {"seed": "seeds", "test_accuracy": "mean", "validation_accuracy": "validation_mean"}


def test_csv_has_a_row_a_cell(sweep_store: Store) -> None:
    rows = list(csv.DictReader(io.StringIO(to_csv(summary_rows(sweep_store.trials())))))
    assert list(rows[0])[:10] == FIRST
    assert len(rows) == 7  # dense, and three methods at two sparsities
    random = next(row for row in rows if (row["method"], row["sparsity"]) == ("random", "0.99"))
    wanted = {"n": "1", "mean": "0.6", "std": "", "completed": "2", "collapsed": "1", "collapsed_mean": "0.1"}
    assert {key: random[key] for key in wanted} == wanted
    assert (random["best"], random["seeds"], random["failed"]) == ("false", "0 1", "0")


def test_csv_keeps_ten_digits_and_no_rounding_noise(store: MakeStore) -> None:
    made = store("a", [trial("snip", 0.9, 0, 0.1 + 0.2, macs_dense=1000, macs_kept=300)])
    (row,) = csv.DictReader(io.StringIO(to_csv(summary_rows(made.trials()))))
    assert (row["mean"], row["macs_kept_fraction"], row["macs_dense"]) == ("0.3", "0.3", "1000")


def test_best_cells_are_one_a_sparsity(sweep_store: Store) -> None:
    best = best_cells(summary_rows(sweep_store.trials()))
    assert [(row["sparsity"], row["method"]) for row in best] == [(0.9, "force"), (0.99, "force")]


def test_an_empty_store_has_no_rows(store: MakeStore) -> None:
    assert summary_rows(store("empty", []).trials()) == []


def test_every_number_of_the_record_is_in_the_summary(sweep_store: Store) -> None:
    (row, *_) = summary_rows(sweep_store.trials())
    hints = typing.get_type_hints(TrialRecord).items()
    numbers = {name for name, hint in hints if {int, float, bool} & {hint, *typing.get_args(hint)}}
    assert len(numbers) > 40
    assert {OTHERWISE.get(name, name) for name in numbers - NO_DIAGNOSTICS} <= row.keys()


def test_a_measured_number_is_a_mean_over_all_completed_runs_and_a_truth_a_fraction(store: MakeStore) -> None:
    facts = [
        {"training_flops_share": 0.02, "disconnected": False, "final_gradient_norm": 1.0},
        {"training_flops_share": 0.04, "disconnected": True, "final_gradient_norm": None},
    ]
    runs = [trial("snip", 0.99, seed, a, **facts[seed]) for seed, a in enumerate((0.8, 0.1))]
    (row,) = summary_rows(store("a", runs).trials())
    assert (row["training_flops_share"], row["disconnected"], row["final_gradient_norm"]) == (0.03, 0.5, 1.0)
    assert (row["n"], row["speedup"]) == (1, None)


def test_a_control_has_a_row_of_its_own(store: MakeStore) -> None:
    runs = [trial("snip", 0.9, 0, a, method_label=f"snip{c}") for c, a in (("", 0.8), (" ablation=invert", 0.3))]
    rows = summary_rows(store("a", runs).trials())
    assert [(row["method"], row["method_label"], row["mean"]) for row in rows] == [
        ("snip", "snip", 0.8),
        ("snip", "snip ablation=invert", 0.3),
    ]
