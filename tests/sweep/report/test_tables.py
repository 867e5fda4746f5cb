from sweep.records import DIVERGED, FAILED, TrialRecord
from sweep.report import accuracy_table, from_table
from sweep.report.tables import accuracy_text, paired_table, sanity_table
from sweep.store import Store

from .conftest import panel, trial


def text_of(*accuracies: float, lost: tuple[str, ...] = ()) -> str:
    runs = [trial("snip", 0.99, seed, a) for seed, a in enumerate(accuracies)]
    runs += [trial("snip", 0.99, 10 + seed, None, status=status) for seed, status in enumerate(lost)]
    (cell,) = panel(runs).cells
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


def controlled(control: str, *accuracies: float) -> list[TrialRecord]:
    """FORCE of 60 rounds at 99 %, under a control, one run a seed."""
    label = "force rounds=60" + (f" ablation={control}" if control else "")
    return [trial("force", 0.99, seed, a, method_label=label) for seed, a in enumerate(accuracies)]


def test_sanity_checks_compare_each_control_with_its_own_method_seed_by_seed() -> None:
    runs = controlled("", 0.80, 0.84) + controlled("invert", 0.60, 0.62) + controlled("shuffle_layerwise", 0.81, 0.83)
    runs += [trial("snip", 0.99, 0, 0.5), trial("snip", 0.99, 0, 0.1, method_label="snip ablation=reinitialize")]
    table = sanity_table(panel(runs))
    assert table.header == ("minus its method", "99%")
    assert [[entry.text for entry in row] for row in table.rows] == [
        ["SNIP, re-initialised", "at chance"],
        ["FORCE, rounds=60, shuffled within layers", "+0.00 ± 1.41 (2)"],  # 81 - 80 and 83 - 84
        ["FORCE, rounds=60, inverted", "-21.00 ± 1.41 (2)"],  # 60 - 80 and 62 - 84
    ]


def test_a_control_whose_method_was_not_run_has_no_sanity_check() -> None:
    assert sanity_table(panel([*controlled("invert", 0.6), trial("snip", 0.99, 0, 0.5)])).rows == ()


def test_controls_are_rows_of_their_own_but_are_not_paired_with_random() -> None:
    runs = [*controlled("", 0.8), *controlled("invert", 0.6), trial("random", 0.99, 0, 0.5)]
    names = ["Random", "FORCE, rounds=60", "FORCE, rounds=60, inverted"]
    assert [row[0].text for row in accuracy_table(panel(runs)).rows] == names
    assert [row[0].text for row in paired_table(panel(runs), "random").rows] == ["FORCE, rounds=60"]


def test_where_no_pair_trained_the_difference_says_which_is_at_chance() -> None:
    runs = [trial("random", s, 0, a) for s, a in ((0.9, 0.8), (0.95, 0.1), (0.98, 0.1))]
    runs += [trial("snip", s, 0, a) for s, a in ((0.9, 0.1), (0.95, 0.8), (0.98, 0.1), (0.99, 0.8))]
    (row,) = paired_table(panel(runs), "random").rows
    assert [entry.text for entry in row[1:]] == ["at chance", "other at chance", "both at chance", "–"]


def test_seeds_that_started_from_other_weights_are_counted_beside_the_difference() -> None:
    def runs(method: str, accuracy: float, *hashes: str) -> list[TrialRecord]:
        return [trial(method, 0.9, seed, accuracy, initial_weights_hash=h) for seed, h in enumerate(hashes)]

    two = paired_table(panel([*runs("random", 0.8, "a", "b", "c"), *runs("snip", 0.9, "a", "b", "x")]), "random")
    assert two.rows[0][1].text == "+10.00 ± 0.00 (2), 1 of other initial weights"
    none = paired_table(panel([*runs("random", 0.8, "a"), *runs("snip", 0.9, "x")]), "random")
    assert none.rows[0][1].text == "1 of other initial weights"
