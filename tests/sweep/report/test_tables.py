from sweep.records import DIVERGED, FAILED, TrialRecord
from sweep.report import accuracy_table, from_table
from sweep.report.comparison_tables import best_table, differences_table, reference_table, sanity_table
from sweep.report.comparisons import Comparisons
from sweep.report.page.sentences import verdict
from sweep.report.table import Table
from sweep.report.tables import accuracy_text, interval_table
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


def test_markdown_has_methods_as_rows_and_sparsities_as_columns(sweep_store: Store) -> None:
    only = panel(from_table(sweep_store.trials()))
    assert accuracy_table(only).markdown() == "\n".join(
        [
            "Dense: 95.50 ± 0.71 (2)",
            "",
            "None is bold at 90%, 99%: no method there has 3 seeds, all of which trained.",
            "",
            "| method | 90% | 99% |",
            "| :-- | --: | --: |",
            "| Random | 81.00 ± 1.41 (2) | 60.00 (1), 1 of 2 at chance |",
            "| SNIP | 90.50 ± 0.71 (2) | at chance (2) |",
            "| FORCE | 91.00 ± 1.41 (2) | 86.00 ± 1.41 (2) |",
        ]
    )


def test_a_missing_cell_is_a_dash_and_not_a_row_that_shifts() -> None:
    only = panel([trial("snip", 0.9, 0, 0.8), trial("force", 0.9, 0, 0.7), trial("force", 0.99, 0, 0.6)])
    assert accuracy_table(only).markdown().splitlines()[4] == "| SNIP | 80.00 (1) | – |"


def test_bold_are_the_best_and_all_not_worse_and_sparsities_without_one_are_named() -> None:
    runs = [trial("snip", 0.9, seed, a) for seed, a in enumerate((0.90, 0.91, 0.92))]
    runs += [trial("force", 0.9, seed, a) for seed, a in enumerate((0.91, 0.90, 0.92))]
    runs += [trial("random", 0.9, seed, a) for seed, a in enumerate((0.50, 0.52, 0.51))]
    runs += [trial("force", 0.99, seed, 0.8) for seed in range(2)]
    table = accuracy_table(panel(runs))
    assert [[entry.best for entry in row[1:]] for row in table.rows] == [[False, False], [True, False], [True, False]]
    assert table.notes == ("None is bold at 99%: no method there has 3 seeds, all of which trained.",)


def test_a_seed_that_other_cells_have_is_missing_unless_trials_are_still_to_come() -> None:
    only = panel([trial("snip", 0.9, 0, 0.8), trial("snip", 0.9, 1, 0.8), trial("force", 0.9, 1, 0.7)])
    assert accuracy_table(only).rows[1][1].text == "70.00 (1), 1 missing"
    assert accuracy_table(only, running=True).rows[1][1].text == "70.00 (1)"
    assert accuracy_table(only, running=True).notes == ()


def texts(table: Table) -> list[list[str]]:
    return [[entry.text for entry in row] for row in table.rows]


def test_intervals_stand_beside_runs_at_chance_and_missing_seeds() -> None:
    runs = [trial("snip", 0.99, seed, a) for seed, a in enumerate((0.80, 0.82, 0.10))] + [trial("force", 0.99, 0, 0.7)]
    table = interval_table(panel(runs))
    assert table.header[-2:] == ("mean of all", "missing seeds")
    assert texts(table) == [
        # 81 ± 12.706 · 1.4142/√2; Wilson's interval of 1 of 3; (80 + 82 + 10) / 3
        ["SNIP", "99%", "2", "81.00", "[68.29, 93.71]", "1 of 3 [6%, 79%]", "57.33", "none"],
        ["FORCE", "99%", "1", "70.00", "–", "0 of 1 [0%, 79%]", "70.00", "1, 2"],
    ]


def test_differences_are_in_percentage_points_against_the_reference(sweep_store: Store) -> None:
    table = differences_table(Comparisons(panel(from_table(sweep_store.trials()))))
    assert table.header == ("minus Random", "90%", "99%")
    assert texts(table) == [
        ["SNIP", "+9.50 [+3.15, +15.85] (2)", "one at chance"],  # 90 - 80 and 91 - 82: ± 12.706 · 0.7071/√2
        ["FORCE", "+10.00 [-15.41, +35.41] (2)", "+25.00 (1)"],  # 92 - 80 and 90 - 82; 85 - 60
    ]


def test_a_star_marks_differences_that_holms_correction_leaves() -> None:
    runs = [trial("random", 0.9, seed, a) for seed, a in enumerate((0.50, 0.51, 0.52))]
    runs += [trial("snip", 0.9, seed, a) for seed, a in enumerate((0.60, 0.612, 0.623))]
    table = differences_table(Comparisons(panel(runs)))
    assert texts(table) == [["SNIP", "+10.17 [+9.79, +10.55] (3)*"]]  # 10, 10.2 and 10.3


def test_a_comparison_has_all_its_numbers_in_one_row() -> None:
    runs = [trial("random", 0.9, seed, a) for seed, a in enumerate((0.50, 0.51, 0.52))]
    runs += [trial("snip", 0.9, seed, a) for seed, a in enumerate((0.60, 0.612, 0.623))]
    found = Comparisons(panel(runs), margin=0.2)
    (row,) = texts(reference_table(found))
    assert reference_table(found).header[9] == "within ±20"
    assert row == ["SNIP", "Random", "90%", "3", "+10.17 [+9.79, +10.55]", "<0.001", "0.250", "<0.001",
                   "1.00 [0.44, 1.00]", "yes", "3", "3"]  # fmt: skip
    assert texts(best_table(found)) == [row]


def controlled(control: str, *accuracies: float) -> list[TrialRecord]:
    """FORCE of 60 rounds at 99 %, under a control, one run a seed."""
    label = "force rounds=60" + (f" ablation={control}" if control else "")
    return [trial("force", 0.99, seed, a, method_label=label) for seed, a in enumerate(accuracies)]


def test_sanity_checks_compare_each_control_with_its_own_method_seed_by_seed() -> None:
    runs = controlled("", 0.80, 0.84) + controlled("invert", 0.60, 0.62) + controlled("shuffle_layerwise", 0.81, 0.83)
    runs += [trial("snip", 0.99, 0, 0.5), trial("snip", 0.99, 0, 0.1, method_label="snip ablation=reinitialize")]
    table = sanity_table(Comparisons(panel(runs)))
    assert table.header == ("method", "sparsity", "accuracy", "shuffled within layers", "difference",
                            "re-initialised", "difference", "inverted", "difference")  # fmt: skip
    assert texts(table) == [
        ["SNIP", "99%", "50.00 (1)", "–", "–", "at chance (1)", "at chance", "–", "–"],
        ["FORCE, rounds=60", "99%", "82.00 ± 2.83 (2)",
         "82.00 ± 1.41 (2)", "+0.00 [-12.71, +12.71] (2)",  # 81 - 80 and 83 - 84
         "–", "–",
         "61.00 ± 1.41 (2)", "-21.00 [-33.71, -8.29] (2)"],  # 60 - 80 and 62 - 84
    ]  # fmt: skip


def test_a_control_whose_method_was_not_run_has_no_sanity_check() -> None:
    assert sanity_table(Comparisons(panel([*controlled("invert", 0.6), trial("snip", 0.99, 0, 0.5)]))).rows == ()


def test_controls_are_rows_of_their_own_but_are_not_paired_with_random() -> None:
    runs = [*controlled("", 0.8), *controlled("invert", 0.6), trial("random", 0.99, 0, 0.5)]
    names = ["Random", "FORCE, rounds=60", "FORCE, rounds=60, inverted"]
    assert [row[0].text for row in accuracy_table(panel(runs)).rows] == names
    assert [row[0].text for row in differences_table(Comparisons(panel(runs))).rows] == ["FORCE, rounds=60"]


def test_where_no_pair_trained_the_difference_says_which_is_at_chance() -> None:
    runs = [trial("random", s, 0, a) for s, a in ((0.9, 0.8), (0.95, 0.1), (0.98, 0.1))]
    runs += [trial("snip", s, 0, a) for s, a in ((0.9, 0.1), (0.95, 0.8), (0.98, 0.1), (0.99, 0.8))]
    (row,) = differences_table(Comparisons(panel(runs))).rows
    assert [entry.text for entry in row[1:]] == ["at chance", "other at chance", "both at chance", "–"]


def test_seeds_that_started_from_other_weights_are_counted_beside_the_difference() -> None:
    def runs(method: str, accuracy: float, *hashes: str) -> list[TrialRecord]:
        return [trial(method, 0.9, seed, accuracy, initial_weights_hash=h) for seed, h in enumerate(hashes)]

    two = differences_table(
        Comparisons(panel([*runs("random", 0.8, "a", "b", "c"), *runs("snip", 0.9, "a", "b", "x")]))
    )
    assert two.rows[0][1].text == "+10.00 (2, no spread), 1 of other initial weights"
    none = differences_table(Comparisons(panel([*runs("random", 0.8, "a"), *runs("snip", 0.9, "x")])))
    assert none.rows[0][1].text == "1 of other initial weights"


def test_equal_differences_are_shown_without_an_interval_and_decide_nothing() -> None:
    runs = [trial("random", 0.9, seed, a) for seed, a in enumerate((0.950, 0.960, 0.955))]
    runs += [trial("snip", 0.9, seed, a + 1 / 360) for seed, a in enumerate((0.950, 0.960, 0.955))]
    found = Comparisons(panel(runs))
    (one,) = found.with_reference
    assert (one.low, one.high, one.equivalent, one.seeds_one_point) == (None, None, None, None)
    assert (one.p_t, one.p_holm, one.significant) == (0.25, 0.25, False)  # of the sign-flip test: 2 / 2³
    assert texts(differences_table(found))[0][1] == "+0.28 (3, no spread)"
    assert texts(reference_table(found))[0][4] == "+0.28, no spread"
    assert verdict(one, 0.005) == (
        "SNIP and Random cannot be told apart: SNIP minus Random is 0.28 points in every seed, n = 3, Holm p = 0.250."
    )


def test_equal_runs_have_a_mean_without_an_interval() -> None:
    table = interval_table(panel([trial("snip", 0.9, seed, 0.8) for seed in range(3)]))
    assert texts(table)[0][3:5] == ["80.00", "–"]
