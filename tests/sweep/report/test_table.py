import csv
import io

from sweep.records import DIVERGED, FAILED
from sweep.report import accuracy_table, best_cells, from_table, summary_rows
from sweep.report.statistics import cells
from sweep.report.table import accuracy_text, paired_table, to_csv
from sweep.store import Store

from .conftest import MakeStore, panel, trial

COLUMNS = [
    "data", "data_encoding", "architecture", "architecture_label", "setting", "method", "method_label", "sparsity",
    "n", "mean", "std", "best", "completed", "collapsed", "failed", "diverged", "interrupted", "collapsed_mean",
    "validation_mean", "seeds", "prunable", "kept", "achieved_sparsity", "effective_sparsity", "empty_layers",
    "macs_dense", "macs_kept", "macs_kept_fraction", "gradient_norm", "force_objective", "revived",
    "prune_seconds", "prune_passes", "train_seconds", "epochs",
]  # fmt: skip


def text_of(*accuracies: float, lost: tuple[str, ...] = ()) -> str:
    runs = [trial("snip", 0.99, seed, a) for seed, a in enumerate(accuracies)]
    runs += [trial("snip", 0.99, 10 + seed, None, status=status) for seed, status in enumerate(lost)]
    (cell,) = cells(panel(runs))
    return accuracy_text(cell)


def test_a_cell_shows_mean_std_and_n_in_percent() -> None:
    assert text_of(0.90, 0.92, 0.97) == "93.00 ± 3.61 (3)"


def test_a_cell_of_one_run_shows_no_std() -> None:
    assert text_of(0.961) == "96.10 (1)"


def test_a_cell_says_how_many_of_its_runs_are_at_chance_diverged_or_failed() -> None:
    assert text_of(0.80, 0.10, 0.84) == "82.00 ± 2.83 (2), 1 of 3 at chance"
    assert text_of(0.10, 0.12) == "at chance (2)"
    assert text_of(0.80, lost=(FAILED, DIVERGED)) == "80.00 (1), 1 diverged, 1 failed"
    assert text_of(lost=(FAILED,)) == "1 failed"


def test_markdown_has_methods_as_rows_sparsities_as_columns_and_the_best_bold(sweep_store: Store) -> None:
    only = panel(from_table(sweep_store.trials()))
    assert accuracy_table(only).markdown() == "\n".join(
        [
            "Dense: 95.50 ± 0.71 (2)",
            "",
            "| method | 90% | 99% |",
            "| :-- | --: | --: |",
            "| Random | 81.00 ± 1.41 (2) | 60.00 (1), 1 of 2 at chance |",
            "| SNIP | 90.50 ± 0.71 (2) | at chance (2) |",
            "| FORCE | **91.00 ± 1.41 (2)** | **86.00 ± 1.41 (2)** |",
        ]
    )


def test_terminal_text_is_aligned_and_marks_the_best(sweep_store: Store) -> None:
    lines = accuracy_table(panel(from_table(sweep_store.trials()))).text().splitlines()
    assert lines[:2] == ["CIFAR-10, ResNet-20", "Dense: 95.50 ± 0.71 (2)"]
    assert lines[-1].split() == ["FORCE", "91.00", "±", "1.41", "(2)*", "86.00", "±", "1.41", "(2)*"]
    assert len({line.index("(2)") for line in lines[3:]}) == 1


def test_a_missing_cell_is_a_dash_and_not_a_row_that_shifts() -> None:
    only = panel([trial("snip", 0.9, 0, 0.8), trial("force", 0.9, 0, 0.7), trial("force", 0.99, 0, 0.6)])
    assert accuracy_table(only).markdown().splitlines()[2] == "| SNIP | **80.00 (1)** | – |"


def test_paired_table_is_in_percentage_points_against_the_reference(sweep_store: Store) -> None:
    table = paired_table(panel(from_table(sweep_store.trials())), "random")
    assert table.header == ("minus Random", "90%", "99%")
    rows = [[entry.text for entry in row] for row in table.rows]
    assert rows == [
        ["SNIP", "+9.50 ± 0.71 (2)", "one at chance"],  # 90 - 80 and 91 - 82
        ["FORCE", "+10.00 ± 2.83 (2)", "+25.00 (1)"],  # 92 - 80 and 90 - 82; 85 - 60
    ]


def test_csv_has_a_row_a_cell_and_these_columns(sweep_store: Store) -> None:
    rows = list(csv.DictReader(io.StringIO(to_csv(summary_rows(sweep_store.trials())))))
    assert list(rows[0]) == COLUMNS
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
