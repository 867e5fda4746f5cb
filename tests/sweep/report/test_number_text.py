"""Numbers as texts."""

from sweep.report.number_text import points


def test_a_difference_of_rounding_alone_has_no_minus_before_its_zero() -> None:
    assert (points(-1e-17, sign=True), points(-1e-17), points(-0.0001, sign=True)) == ("+0.00", "0.00", "-0.01")
