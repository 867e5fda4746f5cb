from typing import Any

from sweep.records import TrialRecord
from sweep.report.tables import Table, cost_table, end_table, start_table

from .conftest import panel, trial

DENSE: dict[str, Any] = {"prunable": 1000, "kept": 1000, "achieved_sparsity": 0.0, "macs_dense": 5000}
START: dict[str, Any] = {
    **DENSE, "kept": 10, "achieved_sparsity": 0.99, "effective_sparsity": 0.995, "macs_kept": 400, "empty_layers": 1,
    "disconnected": False, "gradient_norm": 2.0, "force_objective": 12345.6, "revived": 7,
}  # fmt: skip
END: dict[str, Any] = {
    "final_sparsity": 0.99, "final_effective_sparsity": 0.995, "final_empty_layers": 1, "final_disconnected": False,
    "final_macs_kept": 400, "final_gradient_norm": 0.5, "final_force_objective": 3.0, "train_accuracy": 0.81,
    "test_loss": 0.7,
}  # fmt: skip


def rows(table: Table) -> list[dict[str, str]]:
    return [dict(zip(table.header, (entry.text for entry in row), strict=True)) for row in table.rows]


def run(method: str, seed: int = 0, accuracy: float = 0.8, **facts: Any) -> TrialRecord:
    return trial(method, 0.0 if method == "dense" else 0.99, seed, accuracy, **facts)


def test_the_start_table_shows_what_the_mask_leaves_as_percent_and_as_multiples() -> None:
    (row,) = rows(start_table(panel([run("force", **START)])))
    assert row == {
        "method": "FORCE",
        "sparsity": "99%",
        "achieved (compression)": "99.00% (100×)",
        "effective": "99.50%",
        "MACs left (speed-up)": "8% (12.5×)",
        "empty layers": "1",
        "disconnected": "0",
        "gradient norm": "2",
        "FORCE objective": "12,346",
        "revived": "7",
    }


def test_disconnected_runs_are_counted_and_all_else_is_a_mean_over_completed_runs_collapsed_or_not() -> None:
    runs = [run("snip", 0, 0.8, **START), run("snip", 1, 0.1, **{**START, "disconnected": True, "gradient_norm": 4.0})]
    (row,) = rows(start_table(panel(runs)))
    assert (row["disconnected"], row["gradient norm"]) == ("1 of 2", "3")


def test_a_network_of_which_nothing_is_left_has_no_speed_up_and_no_compression() -> None:
    nothing = {**START, "kept": 0, "macs_kept": 0, "achieved_sparsity": 1.0}
    (row,) = rows(start_table(panel([run("snip", **nothing)])))
    assert (row["achieved (compression)"], row["MACs left (speed-up)"]) == ("100%", "0%")


def test_columns_of_which_nothing_is_known_are_left_out_and_single_gaps_are_dashes() -> None:
    old = {key: value for key, value in START.items() if key not in ("disconnected", "revived")}
    one, two = rows(start_table(panel([run("snip", **{**old, "gradient_norm": None}), run("force", **old)])))
    assert list(one) == list(two)
    assert not {"disconnected", "revived"} & one.keys()
    assert (one["gradient norm"], two["gradient norm"]) == ("–", "2")


def test_the_dense_network_is_the_first_row_of_every_table() -> None:
    only = panel([run("force", **START, **END), run("dense", **DENSE, macs_kept=5000, prune_passes=0, test_loss=0.1)])
    for table in (start_table(only), end_table(only), cost_table(only)):
        assert [row["method"] for row in rows(table)] == ["Dense", "FORCE"]
    assert rows(start_table(only))[0]["MACs left (speed-up)"] == "100% (1×)"


def test_after_training_a_mask_that_stayed_is_not_told_again() -> None:
    only = panel([run("force", **START, **END)])
    assert not only.masks_moved
    assert rows(end_table(only)) == [
        {
            "method": "FORCE",
            "sparsity": "99%",
            "gradient norm": "0.5",
            "FORCE objective": "3",
            "train accuracy": "81%",
            "test loss": "0.7",
        }
    ]


def test_after_training_masks_that_moved_are_told_beside_those_that_stayed() -> None:
    turned = {**END, "final_macs_kept": 800, "final_effective_sparsity": 0.991, "final_empty_layers": 0}
    only = panel([run("force", **START, **END), run("rigl", **START, **turned)])
    assert only.masks_moved
    force, rigl = rows(end_table(only))
    wanted = ("sparsity at the end", "effective", "MACs left (speed-up)", "empty layers", "disconnected")
    assert [force[name] for name in wanted] == ["99.00%", "99.50%", "8% (12.5×)", "1", "0"]
    assert [rigl[name] for name in wanted] == ["99.00%", "99.10%", "16% (6.25×)", "0", "0"]


def test_records_from_before_the_end_was_measured_have_moved_nothing() -> None:
    only = panel([run("force", **START)])
    assert not only.masks_moved
    assert end_table(only).rows == ()


def test_the_cost_table_is_in_multiples_of_dense_training_and_says_what_of_it_pruning_was() -> None:
    facts = {"prune_seconds": 1.5, "prune_passes": 60, "prune_flops": 2e9, "passes": 3060, "training_flops": 8e9,
             "training_flops_share": 0.02, "train_seconds": 90.0, "peak_memory_bytes": 3 * 2**20}  # fmt: skip
    imp = {**facts, "prune_flops": 0.0, "training_flops": 24e11, "training_flops_share": 6.0, "epochs": 30}
    force, lottery = rows(cost_table(panel([run("force", **facts), run("imp", **imp)])))
    assert force == {
        "method": "FORCE",
        "sparsity": "99%",
        "prune s": "1.5",
        "pruning passes": "60",
        "passes in all": "3,060",
        "training FLOPs": "0.02×",
        "of it pruning": "25%",
        "epochs in all": "5",
        "train s": "90",
        "peak memory MiB": "3",
    }
    assert (lottery["training FLOPs"], lottery["of it pruning"], lottery["epochs in all"]) == ("6×", "0%", "30")
