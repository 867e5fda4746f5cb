"""Sentences of the page say what hand arithmetic says, and say so where the runs cannot tell."""

from sweep.report.comparison import Comparison
from sweep.report.comparisons import Comparisons
from sweep.report.page.findings import Finding, findings, remarks
from sweep.report.page.sentences import verdict

from .conftest import panel, trial


def compared(heights: dict[str, list[float]], sparsity: float = 0.995) -> Comparisons:
    """Methods at one sparsity, the n-th accuracy that of seed n."""
    trials = [
        trial(method, sparsity, seed, value) for method, values in heights.items() for seed, value in enumerate(values)
    ]
    return Comparisons(panel(trials))


def only(heights: dict[str, list[float]]) -> Comparison:
    [comparison] = compared(heights).with_best
    return comparison


def the_finding(heights: dict[str, list[float]]) -> Finding:
    [finding] = findings(compared(heights))
    return finding


def test_a_method_beats_another_where_the_corrected_test_tells_them_apart() -> None:
    # differences 30, 32, 31 points: mean 31, std 1, t(0.975, 2) = 4.3027 -> 31 ± 4.3027 / √3; t = 53.7 -> p = 0.0003
    comparison = only({"snip": [0.60, 0.59, 0.61], "force": [0.90, 0.91, 0.92]})
    assert verdict(comparison, 0.005) == "FORCE beats SNIP by 31.0 points [28.5, 33.5], n = 3, Holm p < 0.001."


def test_the_sentence_is_the_same_whichever_method_comes_first() -> None:
    comparison = only({"snip": [0.60, 0.59, 0.61], "force": [0.90, 0.91, 0.92]})
    assert verdict(comparison.reversed(), 0.005) == verdict(comparison, 0.005)


def test_methods_that_differ_less_than_their_noise_cannot_be_told_apart() -> None:
    # differences 4, −2, 1 points: mean 1, std 3 -> 1 ± 7.45, t = 0.577, p = 0.62; 73 pairs find a true difference of 1
    sentence = verdict(only({"snip": [0.86, 0.92, 0.89], "force": [0.90, 0.90, 0.90]}), 0.005)
    assert sentence == (
        "FORCE and SNIP cannot be told apart: FORCE minus SNIP is 1.0 points [−6.5, 8.5], n = 3, Holm p = 0.622; "
        "to tell a difference of 1 point takes about 73 seeds."
    )


def test_methods_within_the_margin_are_called_equivalent() -> None:
    # differences 0.1, −0.1, 0.06 points: mean 0.02, std 0.1058; the 90 % interval 0.02 ± 0.178 lies within ±0.5
    sentence = verdict(only({"snip": [0.899, 0.901, 0.8994], "force": [0.90, 0.90, 0.90]}), 0.005)
    assert sentence == (
        "FORCE and SNIP are equivalent within ±0.5 points: "
        "FORCE minus SNIP is 0.02 points [−0.24, 0.28], n = 3, Holm p = 0.775."
    )


def test_below_three_seeds_there_is_no_test() -> None:
    finding = the_finding({"snip": [0.60, 0.62], "force": [0.90, 0.92]})
    assert finding.headline == (
        "n below three: no test. The means are of at most 2 seeds; the highest is that of FORCE, "
        "91.00% [78.29, 103.71], n = 2."
    )
    assert finding.details == ()
    [pair] = compared({"snip": [0.60, 0.62], "force": [0.90, 0.92]}).all_pairs
    assert (
        verdict(pair, 0.005)
        == "FORCE and SNIP: no test, n = 2, below three; FORCE minus SNIP is +30.0 points over 2 seeds."
    )


def test_runs_at_chance_are_counted_and_not_compared() -> None:
    finding = the_finding({"snip": [0.1, 0.1, 0.1], "force": [0.90, 0.91, 0.92], "random": [0.1, 0.5, 0.5]})
    assert finding.headline == (
        "FORCE is the only method with three runs that all trained: 91.00% [88.52, 93.48], n = 3. "
        "Random: 1 of 3 runs at chance; 50.00% where it trained (n = 2). SNIP: 3 of 3 runs at chance."
    )


def test_the_headline_names_what_the_best_method_beats_and_what_it_cannot_be_told_from() -> None:
    finding = the_finding(
        {
            "random": [0.41, 0.40, 0.42],
            "snip": [0.60, 0.59, 0.61],
            "synflow": [0.86, 0.94, 0.90],
            "force": [0.90, 0.91, 0.92],
        }
    )
    assert finding.headline.startswith(
        "FORCE has the highest mean, 91.00% [88.52, 93.48], n = 3; it cannot be told apart"
    )
    assert "from SynFlow. It beats SNIP by 31.0 points [28.5, 33.5], n = 3, Holm p < 0.001, and Random by more." in (
        finding.headline
    )
    assert finding.summary == "3 comparisons" and len(finding.details) == 3


def test_seeds_needed_are_those_of_the_paired_t_test() -> None:
    # std of the differences 3 points: d = 1/3 and 1/6; statsmodels' TTestPower().solve_power(d, power=0.8) -> 72.6, 284.5
    _, needed = remarks(compared({"snip": [0.86, 0.92, 0.89], "force": [0.90, 0.90, 0.90]}))
    assert needed == (
        "Seeds needed to find a difference with 80% power, one comparison by itself: "
        "73 for a true difference of 1 point; 285 for a true difference of 0.5 points."
    )


def test_no_method_that_trained_is_said_to_be_none() -> None:
    assert the_finding({"snip": [0.1, 0.1], "force": [0.1, 0.1]}).headline.startswith("No method trained. ")
