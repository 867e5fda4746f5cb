from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

from sweep.records import EpochRecord, schema
from sweep.report.figures.curves import curves_figure

from .conftest import artist, panel, texts, trial

RUNS = [trial("dense", 0.0, 0, 0.95), *(trial("force", 0.99, seed, 0.9) for seed in (0, 1)), trial("snip", 0.9, 0, 0.9)]


def epochs(held_out: bool = True) -> pa.Table:
    """After epoch e of seed s, validation accuracy is 0.5 + 0.1 e + 0.02 s, and training accuracy 0.1 more."""
    records = []
    for run in RUNS:
        for number in (2, 1):
            validation = 0.5 + 0.1 * number + 0.02 * run.seed
            one = EpochRecord(run.trial_id, number, 1.0, validation + 0.1, 1.0, validation, 0.1, 100.0, 1.0)
            records.append(one if held_out else replace(one, validation_loss=None, validation_accuracy=None))
    return pa.Table.from_pylist([vars(record) for record in records], schema=schema(EpochRecord))


def points(figure: Any, gid: str) -> list[list[Any]]:
    return [[float(x), pytest.approx(float(y))] for x, y in artist(figure, gid).get_xydata()]


def test_a_curve_is_the_mean_validation_accuracy_after_each_epoch() -> None:
    figure = curves_figure(panel(RUNS), epochs(), 0.99)
    assert points(figure, "curve/force") == [[1, 61], [2, 71]]
    assert points(figure, "curve/dense") == [[1, 60], [2, 70]]
    assert artist(figure, "curve/snip") is None  # of another sparsity
    assert figure is not None
    assert "Validation accuracy (%)" in texts(figure)


def test_without_held_out_images_it_is_training_accuracy_and_says_so() -> None:
    figure = curves_figure(panel(RUNS), epochs(held_out=False), 0.99)
    assert points(figure, "curve/force") == [[1, 71], [2, 81]]
    assert figure is not None
    assert "Training accuracy (%)" in texts(figure)


def test_no_figure_where_no_run_has_epochs() -> None:
    assert curves_figure(panel(RUNS), epochs().slice(0, 0), 0.99) is None
