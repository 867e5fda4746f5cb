"""Grids that are not full products: paired axes, exclusions and inclusions."""

import json
import re
from itertools import product
from pathlib import Path

import pytest
from click.testing import CliRunner

from sweep.cli import main
from sweep.config import grid_reader
from sweep.config.config import read_sweep, sweep_from
from sweep.config.grid import expand, trial_id
from sweep.config.trial_identity import canonical
from sweep.config.yaml_tree import plain
from sweep.engines.sharing.subjects import subjects
from sweep.errors import InputError
from sweep.launch.preflight import check_sparsities

DOCS = Path(__file__).parents[3] / "docs"
PLAIN = """\
name: mine
data: digits
grid:
  architecture: [vgg_digits, {name: vgg_digits, width: 8, label: narrow}]
  method: [dense, snip, {name: force, rounds: 10}, {name: force, rounds: 20, label: FORCE-20}]
  sparsity: [0.9, 0.99]
  seed: [0, 1, 2]
"""
PAIRED = """\
name: mine
data: digits
grid:
  paired:
    - {architecture: vgg_digits, sparsity: [0.9, 0.95]}
    - {architecture: {name: vgg_digits, width: 8}, sparsity: 0.99}
  method: snip
  seed: [0, 1]
"""
WIDE, NARROW = "vgg_digits", "vgg_digits width=8"


@pytest.fixture
def sweep(tmp_path):
    def read(text: str = PLAIN, *settings: str, more: str = ""):
        path = tmp_path / "mine.yaml"
        path.write_text(text + more)
        return read_sweep(path, settings)

    return read


def cells(config):
    """(architecture, method, sparsity, seed) of every trial, in order."""
    return [(t.architecture.label, t.method_label, t.sparsity, t.seed) for t in expand(config)]


METHODS = [("dense", (0.0,)), *((name, (0.9, 0.99)) for name in ("snip", "force rounds=10", "force rounds=20"))]
PRODUCT = [
    (architecture, method, sparsity, seed)
    for seed, architecture, (method, sparsities) in product((0, 1, 2), (WIDE, NARROW), METHODS)
    for sparsity in sparsities
]


@pytest.mark.parametrize(
    ("entries", "left_out"),
    {
        "by name, whatever the options": ("{method: force, seed: 0}", lambda a, m, s, seed: "force" in m and seed == 0),
        "by label": ("{method: FORCE-20}", lambda a, m, s, seed: m == "force rounds=20"),
        "by what plan calls it": ("{method: force rounds=10}", lambda a, m, s, seed: m == "force rounds=10"),
        "by some options": ("{method: {name: force, rounds: 20}}", lambda a, m, s, seed: m == "force rounds=20"),
        "by label among options": (
            "{architecture: {name: vgg_digits, label: narrow}}",
            lambda a, m, s, seed: a == NARROW,
        ),
        "any of a list": (
            "{architecture: narrow, method: [snip, dense], seed: [1, 2]}",
            lambda a, m, s, seed: a == NARROW and m in ("snip", "dense") and seed > 0,
        ),
        "several entries": (
            "[{method: snip, sparsity: 0.99}, {seed: 2}]",
            lambda a, m, s, seed: (m == "snip" and s == 0.99) or seed == 2,
        ),
        "what dense has": ("{sparsity: 0}", lambda a, m, s, seed: m == "dense"),
        "not dense, which has no sparsity": ("{sparsity: 0.9}", lambda a, m, s, seed: s == 0.9),
    }.values(),
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_entry_of_exclude_leaves_out_what_matches_all_of_it(sweep, entries, left_out):
    assert cells(sweep(more=f"  exclude: {entries}\n")) == [cell for cell in PRODUCT if not left_out(*cell)]


def test_ids_and_order_are_those_of_the_product_and_without_the_keys_nothing_changes(sweep):
    whole = [trial_id(trial) for trial in expand(sweep())]
    some = [trial_id(trial) for trial in expand(sweep(more="  exclude: [{method: snip}, {seed: 1}]\n"))]
    assert some == [name for name in whole if name in set(some)]
    assert [trial_id(t) for t in expand(sweep(more="  exclude: []\n  include: []\n  paired: []\n"))] == whole
    assert canonical(sweep().as_dict()["grid"]).count(":[") > 0 and "exclude" not in sweep().as_dict()["grid"]


def test_include_adds_trials_with_the_grids_values_where_it_names_none(sweep):
    more = """\
  include:
    - {method: synflow, sparsity: 0.999}
    - {architecture: {name: vgg_digits, depth: 4}, method: FORCE-20, sparsity: [0.5, 0.9], seed: 7}
    - {method: snip, sparsity: 0.9}
"""
    added = {
        *((architecture, "synflow", 0.999, seed) for architecture in (WIDE, NARROW) for seed in range(3)),
        *(("vgg_digits depth=4", "force rounds=20", sparsity, 7) for sparsity in (0.5, 0.9)),
    }
    found = cells(sweep(more=more))
    assert set(found) == {*PRODUCT, *added} and len(found) == len(PRODUCT) + len(added)
    assert [seed for *_, seed in found] == sorted(seed for *_, seed in found)  # seeds still vary slowest


def test_include_comes_after_exclude(sweep):
    found = cells(sweep(more="  exclude: {method: force}\n  include: {method: FORCE-20, sparsity: 0.99, seed: 0}\n"))
    assert [cell for cell in found if "force" in cell[1]] == [
        (architecture, "force rounds=20", 0.99, 0) for architecture in (WIDE, NARROW)
    ]


def test_paired_axes_go_together_and_every_pair_with_all_values_of_the_others(sweep):
    pairs = [(WIDE, 0.9), (WIDE, 0.95), (NARROW, 0.99)]
    assert cells(sweep(PAIRED)) == [(a, "snip", s, seed) for seed in (0, 1) for a, s in pairs]
    more = "  exclude: {architecture: vgg_digits width=8, seed: 1}\n  include: {method: random, seed: 0}\n"
    found = cells(sweep(PAIRED, more=more))
    assert [cell for cell in found if cell[1] == "random"] == [(a, "random", s, 0) for a, s in pairs]
    assert (NARROW, "snip", 0.99, 1) not in found and (NARROW, "snip", 0.99, 0) in found


def test_an_ablation_may_be_paired_with_a_method(sweep):
    pairs = "[{method: snip, ablation: [none, invert]}, {method: [synflow, rigl], ablation: none}]"
    text = f"data: digits\ngrid: {{architecture: vgg_digits, sparsity: 0.9, seed: 0, paired: {pairs}}}\n"
    found = {(t.method.name, t.ablation) for t in expand(sweep(text))}
    assert found == {("snip", "none"), ("snip", "invert"), ("synflow", "none"), ("rigl", "none")}


EXTRAS = """\
  exclude: [{method: force, seed: [1, 2]}, {architecture: narrow, sparsity: 0.9}]
  include: [{method: {name: synflow, label: SF}, sparsity: 0.999}, {method: FORCE-20, seed: 9}]
"""


@pytest.mark.parametrize(("text", "more"), [(PLAIN, ""), (PLAIN, EXTRAS), (PAIRED, "  include: {method: dense}\n")])
def test_a_stored_config_reads_back_as_the_same_sweep(sweep, text, more):
    config = sweep(text, more=more)
    again = sweep_from(plain(json.loads(canonical(config.as_dict())), "stored"), default_name="other")
    assert again == config and expand(again) == expand(config)
    labels = {choice.display_name for axis in ("architecture", "method") for choice in again.grid.used(axis)}
    assert labels == {choice.display_name for axis in ("architecture", "method") for choice in config.grid.used(axis)}


def test_set_may_narrow_an_axis_that_an_entry_of_the_file_names(sweep):
    more = "  exclude: [{method: force, seed: 2}, {method: snip, sparsity: [0.9, 0.99]}]\n"
    found = cells(sweep(PLAIN, "grid.seed=0,1", "grid.sparsity=0.99", more=more))
    assert found == [c for c in PRODUCT if c[3] < 2 and c[2] != 0.9 and c[1] != "snip"]
    stored = sweep(PLAIN, "grid.seed=0,1", "grid.sparsity=0.99", more=more).as_dict()
    assert cells(sweep_from(plain(stored, "stored"))) == found
    with pytest.raises(InputError, match=r"--set grid.exclude: grid.exclude.seed: 2 is not in the grid; it has 0, 1$"):
        sweep(PLAIN, "grid.seed=0,1", "grid.exclude={seed: 2}")


BAD = {
    "typo of a method": ("exclude: {method: froce}", r":8: grid.exclude.method: 'froce' .* did you mean 'force'\?"),
    "typo of an axis": ("exclude: {metod: force}", r":8: grid.exclude.metod: unknown axis; did you mean 'method'\?"),
    "typo of the key": ("exlude: {method: force}", r":8: grid.exlude: unknown axis; did you mean 'exclude'\?"),
    "an option that it has not": (
        "exclude: {method: {name: force, rounds: 30}}",
        r":8: grid.exclude.method: {name: 'force', rounds: 30} is not in the grid; it has dense, snip, force rounds=10,",
    ),
    "a sparsity that it has not": (
        "exclude: {sparsity: 0.95}",
        r":8: .*sparsity: 0.95 is not in .* it has 0, 0.9, 0.99",
    ),
    "a percentage": ("exclude: {sparsity: 99%}", ":8: grid.exclude.sparsity: .* write 0.99"),
    "a seed that it has not": ("exclude:\n  - {seed: 0}\n  - {seed: [1, 3]}", ":10: grid.exclude.seed: 3 is not in"),
    "nothing that has all of it": (
        "exclude: {method: dense, sparsity: 0.9}",
        r":8: grid.exclude: no trial of the grid has all of {method: 'dense', sparsity: 0.9}; change or remove it",
    ),
    "all of it": ("exclude: [{seed: [0, 1]}, {seed: 2}]", ":8: grid.exclude: leaves no trial; remove an entry"),
    "an empty list": ("exclude: {seed: []}", ":8: grid.exclude.seed: is empty: name at least one value, or leave"),
    "an empty entry": ("exclude: [{}]", ":8: grid.exclude: each entry is a mapping .* not an empty mapping"),
    "no mapping": ("exclude: [snip]", ":8: grid.exclude: each entry is a mapping .* not 'snip'"),
    "an unknown method": (
        "include: {method: snpi}",
        ":8: grid.include.method: unknown method 'snpi'; did you mean 'snip'",
    ),
    "a method that training has no room for": (
        "include: {method: {name: imp, rewind_epoch: 500}}",
        ":8: grid.include.method.rewind_epoch: must be at least 0 and below",
    ),
    "an ablation that it cannot have": ("include: {method: rigl, ablation: invert}", ":8: grid.include: adds no trial"),
    "a label of another": (
        "include: {method: {name: snip, floor: 0.1, label: FORCE-20}}",
        ":8: grid.include: the label 'FORCE-20' stands twice",
    ),
    "axes that are paired too": (
        "paired: [{method: snip, seed: 0}, {method: random, seed: 1}]",
        r":5: grid.method: grid.paired names this axis too \(.*mine.yaml:8\); give its values in one of the two",
    ),
    "one axis": ("paired: [{method: snip}, {method: random}]", ":8: grid.paired: pairs two axes or more.* only method"),
    "other axes": (
        "paired: [{method: snip, seed: 0}, {method: snip, sparsity: 0.9}]",
        ":8: grid.paired: each entry names the same axes: the first has method, seed, this one method, sparsity",
    ),
    "a product": ("paired: {method: [snip, random], seed: [0, 1]}", ":8: grid.paired: one entry alone pairs nothing"),
}


@pytest.mark.parametrize(("key", "message"), BAD.values(), ids=BAD)
def test_a_mistake_is_answered_with_its_line_and_the_fix(sweep, key, message):
    with pytest.raises(InputError, match=message):
        sweep(more=f"  {key}\n")


def test_some_of_the_paired_axes_are_not_enough_to_include(sweep):
    with pytest.raises(InputError, match="grid.include: names some of the paired axes only; add architecture"):
        sweep(PAIRED, more="  include: {sparsity: 0.5}\n")


@pytest.mark.parametrize(
    ("seeds", "more", "message"),
    [
        (
            600,
            {"exclude": {"sparsity": 0.9}},
            "has 1,200 combinations before grid.exclude, and one sweep up to 1,000: sp",
        ),
        (60, {"include": {"method": "force"}}, "has 240 combinations, and one sweep up to 100: split it"),
        (150, {"exclude": {"sparsity": 0.9}}, "has 150 trials, and one sweep up to 100: split it"),
    ],
)
def test_a_grid_that_is_too_large_is_refused(monkeypatch, seeds, more, message):
    monkeypatch.setattr(grid_reader, "MOST_TRIALS", 100)
    monkeypatch.setattr(grid_reader, "_MOST_COMBINATIONS", 1000)
    axes = {"architecture": "vgg_digits", "method": "snip", "sparsity": [0.9, 0.99], "seed": list(range(seeds))}
    with pytest.raises(InputError, match=message):
        grid_reader.read_grid(plain(axes | more, "here"))


def test_networks_that_no_trial_has_are_neither_measured_nor_compared(sweep):
    config = sweep(more="  exclude: {architecture: narrow}\n  include: {method: random, sparsity: 0.5, seed: 8}\n")
    assert [subject.label for subject in subjects(config)] == [WIDE, NARROW]  # `random` runs on it
    assert [len(subject.trials) for subject in subjects(config)] == [5, 1]
    assert [(t.method.name, t.sparsity, t.seed) for t in subjects(config)[1].trials] == [("random", 0.5, 8)]
    only = sweep(more="  exclude: {architecture: narrow}\n")
    assert [subject.label for subject in subjects(only)] == [WIDE]


def test_sparsities_are_duplicates_only_among_trials_of_one_network(sweep):
    text = re.sub(r"\[0.9, 0.95\]", "0.9", PAIRED)
    check_sparsities(sweep(text.replace("0.99", "0.94")), {WIDE: 10, NARROW: 10})  # 1 weight each, of two networks
    more = f"  include: {{architecture: {WIDE}, sparsity: 0.94}}\n"
    check_sparsities(sweep(text, more=more), {WIDE: 1000, NARROW: 10})
    with pytest.raises(InputError, match=r"grid.sparsity: 0.9 and 0.94 keep the same number .* \(1\)"):
        check_sparsities(sweep(text, more=more), {WIDE: 10, NARROW: 1000})


def test_the_pages_grid_is_the_sweep_that_it_says(tmp_path):
    [text] = re.findall(r"```yaml\n(.*?)```", (DOCS / "grids.md").read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "two_networks.yaml").write_text(text)
    config = read_sweep(tmp_path / "two_networks.yaml")
    product_of_pairs = 2 * 5 + (3 + 4) * 4 * 5  # dense once a network and seed
    assert config.grid.changes() == (2 * 5 + 4 * 2, 2 * 5 + 2)
    assert len(expand(config)) == product_of_pairs - 18 + 12


def test_the_plan_shows_the_cells_that_there_are_and_what_the_keys_changed(sweep, tmp_path):
    config = sweep(more="  exclude: {method: force, seed: [1, 2]}\n  include: {method: snip, sparsity: 0.5, seed: 0}\n")
    result = CliRunner().invoke(main, ["plan", str(tmp_path / "mine.yaml"), "--set", f"store={tmp_path / 'results'}"])
    assert result.exit_code == 0
    lines = [re.split(r"  +", line.strip()) for line in result.stdout.splitlines()]
    assert [line[3] for line in lines if line[0].startswith("force")] == ["0"] * 8
    assert sum(line[:2] == ["snip", "50%"] for line in lines) == 2
    assert "trials of the grid: grid.exclude leaves out 16, grid.include adds 2\n" in result.stdout
    assert f"mine: {len(expand(config))} trials, 0 completed" in result.stdout
