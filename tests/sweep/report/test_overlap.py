from typing import Any

import pytest
import torch

from pruning.packing import pack
from sweep.records import MaskRecord
from sweep.report import ReportOptions, write_report
from sweep.report.figures.overlap import chosen, overlap_figure, overlaps

from .conftest import MakeStore, artist, panel, texts, trial

KEPT = {("snip", 0): [0, 1, 2, 3], ("snip", 1): [0, 1, 4, 5], ("force", 0): [0, 1, 2, 4], ("force", 1): [6, 7, 8, 9]}
RUNS = [trial(method, 0.99, seed, 0.9) for method, seed in KEPT]


def bits(kept: list[int]) -> torch.Tensor:
    mask = torch.zeros(10, dtype=torch.bool)
    mask[kept] = True
    return mask


MASKS: dict[str, Any] = {run.trial_id: {"w": bits(KEPT[run.method, run.seed])} for run in RUNS}


def test_between_methods_it_is_the_mean_over_seeds_and_on_the_diagonal_between_seeds() -> None:
    force, snip = sorted(panel(RUNS).cells, key=lambda cell: cell.method)
    table = overlaps([snip, force], MASKS)
    assert table[0][0] == pytest.approx(2 / 6)  # {0, 1} of {0, 1, 2, 3, 4, 5}
    assert table[1][1] == 0
    assert table[0][1] == table[1][0] == pytest.approx((3 / 5 + 0) / 2)


def test_every_number_is_written_and_one_that_is_not_known_is_a_dash() -> None:
    figure = overlap_figure(panel(RUNS), MASKS, 0.99)
    assert figure is not None
    assert {"0.33", "0.30", "0.00"} <= set(texts(figure))
    one_seed = overlap_figure(panel(r for r in RUNS if r.seed == 0), MASKS, 0.99)
    assert one_seed is not None
    assert texts(one_seed).count("–") == 2
    assert texts(one_seed).count("0.60") == 2
    assert artist(one_seed, "overlap") is not None
    assert overlap_figure(panel(RUNS[:2]), MASKS, 0.99) is None


def test_the_masks_of_a_network_too_large_are_not_read() -> None:
    assert len(chosen(panel(RUNS), 0.99)) == 4
    assert chosen(panel(trial("snip", 0.99, seed, 0.9, prunable=60_000_000) for seed in (0, 1)), 0.99) == []


@pytest.mark.slow
def test_stored_masks_are_compared_in_the_report(store: MakeStore, tmp_path) -> None:
    records = []
    for run in RUNS:
        encoding, packed = pack(mask := MASKS[run.trial_id]["w"])
        records.append(MaskRecord(run.trial_id, "w", 0, (10,), 10, 4, 0.4, 4, encoding, packed, str(mask.sum())))
    files = write_report([store("a", RUNS, records)], tmp_path, options=ReportOptions(at=(0.99,)))
    (svg,) = (path for path in files.figures if path.name == "overlap-cifar10-resnet20-99.svg")
    assert ">0.30<" in svg.read_text()
