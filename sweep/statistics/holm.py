"""Holm's correction."""

from collections.abc import Sequence


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Step-down adjusted p-values (Holm 1979): the i-th smallest of m is max over j ≤ i of min(1, (m − j + 1) p₍ⱼ₎).

    Rejecting where the result is at most α keeps the chance of any false rejection in the family at α, whatever the
    dependence between the tests. None (no test) stays None and does not count in m.
    """
    order = sorted((p, index) for index, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    highest = 0.0
    for place, (p, index) in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - place) * p))
        adjusted[index] = highest
    return adjusted
