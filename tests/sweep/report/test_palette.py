from itertools import combinations

import numpy as np
import pytest

import pruning
from sweep.report.figures import palette

from .colour_vision import VISIONS, difference, seen

SHIPPED = [name for name in pruning.names() if pruning.find(name).shipped]
PAIRS = list(combinations(SHIPPED, 2))
NEAR = 10.0  # CIEDE2000: colours nearer than this are taken for each other in a legend
ALIKE = ({"o", "8", "h", "H", "p"}, {"D", "d"}, {"P", "X"})  # markers that are taken for each other when small


def apart(one: str, other: str, vision: str) -> float:
    return difference(*(seen(palette.colour(name), vision) for name in (one, other)))


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [  # from Sharma's published test data
        ((50.0, 2.6772, -79.7751), (50.0, 0.0, -82.7485), 2.0425),
        ((50.0, 2.5, 0.0), (73.0, 25.0, -18.0), 27.1492),
        ((50.0, 2.5, 0.0), (50.0, 0.0, -2.5), 4.3065),
        ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
        ((22.7233, 20.0904, -46.6940), (23.0331, 14.9730, -42.5619), 2.0373),
        ((2.0776, 0.0795, -1.1350), (0.9033, -0.0636, -0.5514), 0.9082),
    ],
)
def test_the_colour_difference_is_that_of_the_published_data(
    one: tuple[float, ...], other: tuple[float, ...], expected: float
) -> None:
    assert difference(np.array(one), np.array(other)) == pytest.approx(expected, abs=1e-4)


def test_no_two_methods_have_colours_that_normal_eyes_take_for_each_other() -> None:
    assert min(apart(*pair, "normal") for pair in PAIRS) > NEAR


@pytest.mark.parametrize("vision", ["protanopia", "deuteranopia"])
def test_colours_of_two_methods_differ_for_people_who_see_two_of_three(vision: str) -> None:
    assert min(apart(*pair, vision) for pair in PAIRS) > 7.5


@pytest.mark.parametrize("vision", VISIONS)
def test_methods_whose_colours_are_near_each_other_differ_in_marker_and_in_dash(vision: str) -> None:
    for one, other in PAIRS:
        if apart(one, other, vision) < NEAR:
            markers = {palette.marker(one), palette.marker(other)}
            assert len(markers) == 2 and not any(markers <= alike for alike in ALIKE), (one, other)
            assert palette.dashes(one) != palette.dashes(other), (one, other)


def test_every_colour_stands_out_from_the_page() -> None:
    white = seen("white", "normal")
    assert min(difference(seen(palette.colour(name), "normal"), white) for name in SHIPPED) > 20


def test_variants_of_a_method_differ_in_dash_and_in_how_their_markers_are_filled() -> None:
    labels = ["force", "force rounds=300", "force ablation=invert"]
    looks = [palette.looks(labels)[label] for label in labels]
    assert len({look.colour for look in looks}) == len({look.marker for look in looks}) == 1
    assert len({str(look.dashes) for look in looks}) == len({look.face for look in looks}) == 3
