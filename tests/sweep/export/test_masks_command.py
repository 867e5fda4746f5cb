"""``sweep masks``: layers of one trial, overlap of two."""

import io
import json

import pytest
import torch
from rich.console import Console

import pruning
import sweep
from pruning.overlap import Overlap, overlap
from sweep.cli.print import masks as print_masks

from ..small import sweep as run

KEEP, DROP = True, False


def mask(*bits: int) -> torch.Tensor:
    return torch.tensor(bits, dtype=torch.bool)


def test_overlap_by_hand():
    first = {"a": mask(1, 1, 0, 0), "b": mask(1, 0)}
    second = {"a": mask(1, 0, 1, 0), "b": mask(0, 0)}
    assert overlap(first, second) == [
        Overlap("a", 4, 2, 2, 1, 1.0),  # 2 of 4 and 2 of 4: one in common by chance, and one there is
        Overlap("b", 2, 1, 0, 0, 0.0),
        Overlap("total", 6, 3, 2, 1, 1.0),
    ]
    assert [row.jaccard for row in overlap(first, second)] == [1 / 3, 0.0, 1 / 4]
    assert overlap({"b": mask(0, 0)}, {"b": mask(0, 0)})[0].jaccard is None
    assert overlap({}, {}) == [Overlap("total", 0, 0, 0, 0, 0)]


def test_independent_masks_overlap_as_expected():
    generator = torch.Generator().manual_seed(0)

    def drawn() -> pruning.Masks:
        order = torch.randperm(1000, generator=generator)
        return {"a": order < 300}

    both = [overlap(drawn(), drawn())[0].both for _ in range(400)]
    assert overlap(drawn(), drawn())[0].expected == 90
    assert sum(both) / 400 == pytest.approx(90, abs=4 * (8.0 / 20))  # the standard deviation of one is below 8


def test_a_mask_overlaps_wholly_with_itself(results, force):
    masks = sweep.load_masks(results, force)
    assert all(row.both == row.first == row.second for row in overlap(masks, masks))


def test_masks_of_different_networks_are_refused():
    with pytest.raises(ValueError, match=r"different networks: a is \[2\] in one, \[3\] in the other"):
        overlap({"a": mask(1, 0)}, {"a": mask(1, 0, 1)})
    with pytest.raises(ValueError, match=r"b is missing in one, \[1\] in the other"):
        overlap({}, {"b": mask(1)})


def test_the_layers_of_a_trial_have_bars_within_80_columns(results, outcomes, force, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    lines = run("masks", force[:8], "--store", results.uri).out.splitlines()
    assert lines[0].endswith(force)
    assert max(map(len, lines)) <= 80
    for record in outcomes[0].masks:
        [line] = [line for line in lines if line.startswith(record.tensor)]
        assert f"{record.kept:,}" in line
        assert f"{100 * record.density:.3g} %" in line
    bars = {
        record.tensor: next(line for line in lines if line.startswith(record.tensor)).count("█")
        for record in outcomes[0].masks
    }
    densest = max(outcomes[0].masks, key=lambda record: record.density)
    assert bars[densest.tensor] == max(bars.values()) == 24
    assert f"full bar: {100 * densest.density:.3g} %" in lines[1]


@pytest.mark.parametrize("width", [40, 60, 80])
def test_no_name_and_no_number_is_shortened_on_a_narrow_terminal(results, outcomes, width):
    written = io.StringIO()
    console = Console(width=width, file=written)
    records = [outcome.trial for outcome in outcomes]
    rows = overlap(*(sweep.load_masks(results, record.trial_id) for record in records))
    long = [row._replace(name=f"backbone.layer4.2.downsample.{row.name}", first=1_234_567) for row in rows]
    print_masks.overlap(console, records, long)
    print_masks.layers(console, records[0], print_masks.layers_json(results, records[0]))
    text = written.getvalue()
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= width
    assert width < 60 or text.count("1,234,567") == len(long)  # on the narrowest, over two lines


def test_json_has_the_layers_and_the_overlap(results, outcomes, force, random):
    rows = json.loads(run("masks", force, "--store", results.uri, "--json").out)
    assert [(row["tensor"], row["kept"]) for row in rows] == [(m.tensor, m.kept) for m in outcomes[0].masks]
    rows = json.loads(run("masks", force, random, "--store", results.uri, "--json").out)
    expected = overlap(sweep.load_masks(results, force), sweep.load_masks(results, random))
    assert [(row["name"], row["both"], row["jaccard"]) for row in rows] == [
        (o.name, o.both, o.jaccard) for o in expected
    ]


def test_two_trials_are_compared_by_layer_and_in_total(results, outcomes, force, random):
    done = run("masks", force[:10], random[:10], "--store", results.uri)
    lines = done.out.splitlines()
    assert lines[0].startswith("A  vgg_digits") and lines[0].endswith(force)
    assert lines[1].startswith("B  vgg_digits") and lines[1].endswith(random)
    [total] = [line for line in lines if line.startswith("total")]
    assert total.split()[1] == total.split()[2] == f"{outcomes[0].trial.kept:,}"


def test_an_unknown_trial_is_bad_input(results):
    done = run("masks", "zz", "--store", results.uri)
    assert (done.code, done.out) == (2, "")
    assert "trial 'zz' is not in" in done.err
