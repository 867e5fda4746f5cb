"""Tables of comparisons: differences from a reference, all numbers of a comparison, and sanity checks."""

from collections.abc import Sequence

from sweep.report.cells import labels, sparsities
from sweep.report.comparison import Comparison
from sweep.report.comparisons import Comparisons
from sweep.report.names import CONTROLS, method_name, split_control
from sweep.report.number_text import p_value, points, points_interval, probability
from sweep.report.table import UNKNOWN, Table, TableEntry
from sweep.report.tables import accuracy_text
from sweep.text import number, percent

DIFFERENCES_CAPTION = (
    "Difference of final-epoch test accuracy in percentage points, seed by seed: mean [95 % t-interval] (n seeds where "
    "both trained). Runs of one seed are a pair only if they started from the same weights. *: a paired t-test, "
    "corrected by Holm over this table, tells the two apart at the 5 % level. No spread: equal in "
    "all seeds, which gives no interval; the test is then the sign-flip test."
)
COMPARISONS_CAPTION = (
    "First minus second method, seed by seed: mean difference in percentage points [95 % t-interval] over n seeds "
    "where both trained; p of the paired t-test, of the sign-flip permutation test (never below 2/2ⁿ), and of the "
    "t-test corrected by Holm over this table. P(higher): share of all seeds, those at chance too, where the first is "
    "higher [Wilson's 95 % interval]. Within ±{margin}: whether two one-sided t-tests show the means to be that close "
    "(5 % level). Seeds for: how many would tell a true difference of 0.5 or 1 point with 80 % power. No spread: the "
    "difference is equal in all seeds; p (t) is then p (flip), and nothing tells how far other seeds would vary."
)
SANITY_CAPTION = (
    "Final-epoch test accuracy in % of each method and of the controls made of its masks, each with its paired "
    "difference from the method as above (Holm over this table). Shuffled within layers: as many weights in each "
    "layer, at random places. Re-initialised: the mask on fresh weights. Inverted: what the method would keep is "
    "removed. What a method knows beyond a density for each layer is lost by shuffling."
)
NO_SPREAD = "no spread"
_SHORT = {(True, False): "at chance", (False, True): "other at chance", (True, True): "both at chance"}


def differences_table(found: Comparisons) -> Table:
    """Each method's accuracy minus that of the reference, in percentage points; no rows where there is none."""
    panel, reference = found.panel, found.reference
    columns = sparsities(panel.cells)
    known = {(one.method_a, one.sparsity): one for one in found.with_reference}
    names = [label for label in labels(panel.cells) if label != reference and not split_control(label)[1]]
    rows = tuple(
        (TableEntry(method_name(label)), *(TableEntry(_difference(known.get((label, s)))) for s in columns))
        for label in (names if reference else ())
    )
    heading = f"minus {method_name(reference)}" if reference else ""
    return Table(panel.title, (), (heading, *map(percent, columns)), rows, DIFFERENCES_CAPTION, "differences")


def comparisons_table(found: Comparisons, rows: Sequence[Comparison], name: str) -> Table:
    """Every number of some comparisons, one a row.

    Args:
        found: all of the panel.
        rows: one family of them.
        name: of the table.
    """
    margin = number(round(100 * found.margin, 10))
    tests = ("p (t)", "p (flip)", "p (Holm)", "P(higher)", f"within ±{margin}", "seeds for 0.5", "seeds for 1")
    header = ("first", "second", "sparsity", "n", "difference", *tests)
    entries = tuple(tuple(map(TableEntry, _row(one))) for one in rows)
    return Table(found.panel.title, (), header, entries, COMPARISONS_CAPTION.format(margin=margin), name, texts=2)


def reference_table(found: Comparisons) -> Table:
    """Every number of each method's comparison with the reference."""
    return comparisons_table(found, found.with_reference, "comparisons-with-reference")


def best_table(found: Comparisons) -> Table:
    """Every number of the comparisons that decide what is bold."""
    return comparisons_table(found, found.with_best, "comparisons-with-best")


def sanity_table(found: Comparisons) -> Table:
    """Each method beside its controls, with paired differences; no rows where there are no controls."""
    cells = {cell.key: cell for cell in found.panel.cells}
    known = {(one.method_a, one.sparsity): one for one in found.of_controls}
    controls = sorted({cell.control for cell in cells.values() if cell.control}, key=_control_order)
    header = ["method", "sparsity", "accuracy"]
    for control in controls:
        header += [CONTROLS.get(control, control), "difference"]
    rows = []
    for label, sparsity in cells:
        own = cells[label, sparsity]
        keys = [(f"{label} ablation={control}", sparsity) for control in controls]
        if own.control or not any(key in cells for key in keys):
            continue
        row = [method_name(label), percent(sparsity), accuracy_text(own)]
        for key in keys:
            row += [accuracy_text(cells[key]) if key in cells else UNKNOWN, _difference(known.get(key))]
        rows.append(tuple(map(TableEntry, row)))
    return Table(found.panel.title, (), tuple(header), tuple(rows), SANITY_CAPTION, "sanity")


def difference_text(one: Comparison) -> str:
    """``+1.20 [+0.31, +2.09] (3)*``; else which of the two is at chance; an en dash where they share no seed.

    Seeds where the two started from different weights, or split their batches differently, are counted after it.
    """
    asides = [f"{one.unlike} of other initial weights"] if one.unlike else []
    if one.in_pieces:
        asides.insert(0, f"{one.in_pieces} in pieces")
    if one.mean is None:
        if one.n_all:
            kind = (one.collapsed_a == one.n_all, one.collapsed_b == one.n_all)
            alike = one.collapsed_a in (0, one.n_all) and one.collapsed_b in (0, one.n_all)
            asides.insert(0, _SHORT[kind] if alike else "one at chance")
        return ", ".join(asides) or UNKNOWN
    interval = f" {points_interval(one.low, one.high, sign=True)}" if one.low is not None else ""
    mark = "*" if one.significant else ""
    count = f"{one.n}, {NO_SPREAD}" if one.without_spread else f"{one.n}"
    return ", ".join([f"{points(one.mean, sign=True)}{interval} ({count}){mark}", *asides])


def _difference(one: Comparison | None) -> str:
    return UNKNOWN if one is None else difference_text(one)


def _control_order(control: str) -> tuple[int, str]:
    names = list(CONTROLS)
    return names.index(control) if control in names else len(names), control


def _row(one: Comparison) -> tuple[str, ...]:
    interval = f" {points_interval(one.low, one.high, sign=True)}" if one.low is not None else ""
    interval = f", {NO_SPREAD}" if one.without_spread else interval
    return (
        method_name(one.method_a),
        method_name(one.method_b),
        percent(one.sparsity),
        str(one.n),
        UNKNOWN if one.mean is None else f"{points(one.mean, sign=True)}{interval}",
        p_value(one.p_t),
        p_value(one.p_permutation),
        p_value(one.p_holm),
        probability(one.probability),
        UNKNOWN if one.equivalent is None else "yes" if one.equivalent else "no",
        UNKNOWN if one.seeds_half_point is None else f"{one.seeds_half_point:,}",
        UNKNOWN if one.seeds_one_point is None else f"{one.seeds_one_point:,}",
    )
