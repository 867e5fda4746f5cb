"""What a YAML says, and what bad input gets."""

import json
import time
from pathlib import Path

import pytest

from sweep.config.config import read_sweep
from sweep.config.grid import expand
from sweep.config.grid_reader import read_grid
from sweep.config.trial_config import trial_from
from sweep.config.yaml_tree import plain
from sweep.errors import InputError

CONFIGS = sorted(Path(__file__).parents[3].joinpath("configs").glob("*.yaml"))
MINIMAL = """\
name: tiny
data: digits
grid:
  architecture: vgg_digits
  method: [dense, snip]
  sparsity: [0.9, 0.99]
  seed: 0
"""


@pytest.fixture
def config(tmp_path):
    def write(text: str = MINIMAL, **replaced: str) -> Path:
        lines = text.splitlines()
        for key, line in replaced.items():
            lines = [f"{x[: len(x) - len(x.lstrip())]}{line}" if x.strip().startswith(f"{key}:") else x for x in lines]
        path = tmp_path / "tiny.yaml"
        path.write_text("\n".join(lines) + "\n")
        return path

    return write


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.stem)
def test_every_shipped_config_reads_and_is_named_after_its_file(path):
    sweep = read_sweep(path)
    assert sweep.name == path.stem
    assert expand(sweep)


def test_the_papers_configs_are_in_the_papers_setting():
    by_name = {path.stem: read_sweep(path) for path in CONFIGS}
    cifar, tiny, imagenet = by_name["cifar10"], by_name["tiny_imagenet"], by_name["imagenet"]
    assert (cifar.training.epochs, cifar.training.milestones, cifar.training.batch_size) == (350, (150, 250), 128)
    assert (cifar.training.learning_rate, cifar.training.momentum, cifar.training.nesterov) == (0.1, 0.9, False)
    assert (cifar.training.weight_decay, cifar.data.validation) == (5e-4, 5000)
    assert (cifar.data.crop_padding, cifar.data.flip) == (4, True)
    assert by_name["cifar100"].pruning.batches == 10
    assert (tiny.training.epochs, tiny.training.milestones, tiny.pruning.batches) == (300, (150, 225), 20)
    assert (imagenet.training.epochs, imagenet.training.milestones) == (90, (30, 60))
    assert (imagenet.training.weight_decay, imagenet.training.batch_size) == (1e-4, 256)
    assert (imagenet.pruning.batches, imagenet.pruning.batch_size) == (40, 256)


def test_a_bare_name_and_a_mapping_stand_side_by_side(config):
    sweep = read_sweep(config(method="method: [force, {name: force, rounds: 300}, {name: grasp, temperature: 1}]"))
    assert [m.label for m in sweep.grid.method] == ["force", "force rounds=300", "grasp temperature=1"]
    assert dict(sweep.grid.method[1].options) == {"rounds": 300, "schedule": "exponential", "scope": "global"}


def test_architectures_take_options_and_an_initialisation(config):
    sweep = read_sweep(
        config(architecture="architecture: [vgg_digits, {name: vgg_digits, width: 8, init: orthogonal}]")
    )
    assert [a.label for a in sweep.grid.architecture] == ["vgg_digits", "vgg_digits init=orthogonal width=8"]


def test_a_scalar_stands_for_a_list_of_one(config):
    sweep = read_sweep(config(sparsity="sparsity: 0.5"))
    assert (sweep.grid.sparsity, sweep.grid.seed) == ((0.5,), (0,))


def test_overrides_stand_over_the_file(config):
    sweep = read_sweep(config(), ["grid.seed=3,4", "training.learning_rate=5e-3", "store=elsewhere"])
    assert (sweep.grid.seed, sweep.training.learning_rate, sweep.store) == ((3, 4), 5e-3, "elsewhere")


def test_configs_are_frozen(config):
    sweep = read_sweep(config())
    with pytest.raises(AttributeError):
        sweep.name = "other"


def test_a_trial_config_survives_the_way_through_plain_values(config):
    sweep = config(method="method: [dense, {name: force, rounds: 7}, erk]")
    for trial in expand(read_sweep(sweep, ["grid.ablation=[none, invert]"])):
        assert trial_from(trial.as_dict()) == trial


def test_an_own_architecture_takes_lists_and_options_without_defaults(config, tmp_path, monkeypatch):
    (tmp_path / "nets_of_mine.py").write_text("def build(classes, depth, widths=(8, 8), act=None): ...")
    monkeypatch.syspath_prepend(tmp_path)
    own = "architecture: [{name: 'nets_of_mine:build', depth: 3, widths: [4, 8]}]"
    [trial, *_] = expand(read_sweep(config(architecture=own)))
    assert trial.architecture.label == "nets_of_mine:build depth=3 widths=[4,8]"
    assert trial_from(json.loads(trial.to_json())) == trial


def test_an_option_that_no_id_can_be_made_of_is_refused(config, tmp_path, monkeypatch):
    (tmp_path / "odd_nets.py").write_text("def build(classes, act=print): ...")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InputError, match="default of its option 'act' is no plain value"):
        read_sweep(config(architecture="architecture: 'odd_nets:build'"))


BAD = {
    "unknown key": (
        {},
        ["trainning.epochs=1"],
        "--set trainning.epochs: trainning: unknown key; did you mean 'training'",
    ),
    "unknown training key": ({}, ["training.epoch=1"], "training.epoch: unknown key; did you mean 'epochs'"),
    "unknown axis": ({"seed": "seeds: 1"}, [], r"tiny\.yaml:7: grid.seeds: unknown axis; did you mean 'seed'"),
    "missing axis": ({"seed": ""}, [], "grid.seed: is missing"),
    "unknown method": (
        {"method": "method: [dense, snpi]"},
        [],
        r"tiny\.yaml:5: grid.method: unknown method 'snpi'; did",
    ),
    "unknown architecture": ({"architecture": "architecture: vgg_digit"}, [], "did you mean 'vgg_digits'"),
    "unknown data set": (
        {"data": "data: digit"},
        [],
        r"tiny\.yaml:2: data.name: unknown data set 'digit'; did you mean",
    ),
    "unknown init": ({}, ["grid.architecture={name: vgg_digits, init: kaiming}"], "did you mean 'kaiming_"),
    "percentage": ({"sparsity": "sparsity: [90]"}, [], r"tiny\.yaml:6: .*90 looks like a percentage.* write 0.9"),
    "percent sign": ({"sparsity": "sparsity: [99.5%]"}, [], "write 0.995, not '99.5%'"),
    "sparsity of one": ({"sparsity": "sparsity: 1"}, [], r"in \[0, 1\), not 1"),
    "negative sparsity": ({"sparsity": "sparsity: -0.1"}, [], r"in \[0, 1\), not -0.1"),
    "sparsity that is no number": ({"sparsity": "sparsity: many"}, [], "a number in"),
    "NaN": ({"sparsity": "sparsity: .nan"}, [], r"in \[0, 1\)"),
    "duplicate sparsity": ({"sparsity": "sparsity: [0.9, 0.90]"}, [], "0.9 stands twice in the grid"),
    "duplicate method": ({"method": "method: [force, {name: force, rounds: 60}]"}, [], "force stands twice"),
    "duplicate seed": ({"seed": "seed: [1, 1]"}, [], "1 stands twice"),
    "method option": (
        {"method": "method: {name: snip, rounds: 3}"},
        [],
        r"grid.method.rounds: method snip has no option",
    ),
    "option type": (
        {"method": "method: {name: force, rounds: many}"},
        [],
        "takes a whole number such as 60, not 'many'",
    ),
    "infinite option": (
        {"method": "method: {name: grasp, temperature: .inf}"},
        [],
        "an option is text, a finite number",
    ),
    "mapping as option": ({"method": "method: {name: grasp, temperature: {a: 1}}"}, [], "not a mapping"),
    "unknown ablation": ({}, ["grid.ablation=inverse"], "grid.ablation: unknown ablation 'inverse'; did you mean 'inv"),
    "a rewind beyond the training": (
        {"method": "method: [snip, {name: imp, rewind_epoch: 10}]"},
        ["training.epochs=10"],
        r"tiny\.yaml:5: grid.method.rewind_epoch: must be at least 0 and below the 10 epochs",
    ),
    "empty axis": ({"method": "method: []"}, [], "grid.method: is empty"),
    "nameless method": ({"method": "method: {rounds: 3}"}, [], "a name, or a mapping such as"),
    "fractional seed": ({"seed": "seed: 0.5"}, [], "must be a whole number, not 0.5"),
    "negative seed": ({"seed": "seed: -1"}, [], "a seed lies between"),
    "epochs": ({}, ["training.epochs=-1"], "--set training.epochs: must be at least 0"),
    "optimizer": ({}, ["training.optimizer=sdg"], "'sdg' is none of sgd, adam, adamw"),
    "text for a number": ({}, ["training.learning_rate=high"], "must be a number, not 'high'"),
    "bool for a number": ({}, ["training.epochs=true"], "must be a whole number, not True"),
    "gpu share": (
        {},
        ["compute.gpus_per_trial=1.5"],
        "a trial runs on one GPU or a share of it, 0 to 1, or auto, not 1.5",
    ),
    "name with a slash": ({"name": "name: ../escape"}, [], r"tiny\.yaml:1: name: letters, digits"),
    "scalar for a section": ({}, ["training=fast"], "training: must be a mapping with the keys epochs"),
    "huge whole number": ({"sparsity": f"sparsity: {10**400}"}, [], r"tiny\.yaml:6: grid\.sparsity: 1000"),
    "huge number": (
        {},
        ["training.learning_rate=1e400"],
        "training.learning_rate: must be above 0 and finite, not inf",
    ),
    "percent sign after no number": ({"sparsity": "sparsity: [1.2.3%]"}, [], "a number in .*, not '1.2.3%'"),
    "more than all": ({"sparsity": "sparsity: 150%"}, [], "a number in .*, not '150%'"),
    "date for text": (
        {"name": "name: 2024-05-01"},
        [],
        r"tiny\.yaml:1: name: must be text, not the date 2024-05-01; put",
    ),
    "on for graphs": ({}, ["compute.graphs=on"], "compute.graphs: True is none of auto, off"),
    "mapping for a choice": ({}, ["training.optimizer={a: 1}"], "training.optimizer: a mapping is none of sgd"),
    "list for a section": ({}, ["training=[{a: 1}]"], r"training: must be a mapping with the keys .*, not a list$"),
    "two GPUs": (
        {},
        ["compute.gpus_per_trial=2"],
        "a trial runs on one GPU or a share of it, 0 to 1, or auto, not 2.0",
    ),
    "no share": ({}, ["compute.gpus_per_trial=aut"], "gpus_per_trial: must be a number or auto, not 'aut'"),
    "switched on": ({}, ["compute.gpus_per_trial=on"], "gpus_per_trial: must be a number or auto, not True"),
    "infinite GPUs": ({}, ["compute.gpus_per_trial=.inf"], "gpus_per_trial: a trial runs on one GPU .* not inf"),
    "GPUs that are no number": (
        {},
        ["compute.gpus_per_trial=.nan"],
        "gpus_per_trial: a trial runs on one GPU .* not nan",
    ),
    "long name": ({"name": "name: " + "x" * 101}, [], r"tiny\.yaml:1: name: letters, digits, .* at most 100"),
    "no store": ({}, ["store="], "--set store: must be text, not None"),
    "empty store": ({}, ['store=""'], "--set store: must name a folder or bucket, not ''"),
    "store without a bucket": ({}, ["store=s3://"], "--set store: must name a folder or bucket, not 's3://'"),
    "store with too long a name": ({}, ["store=" + "x" * 300], "--set store: is too long for a path: 300 bytes"),
    "data in nobody's home": (
        {"data": "data: {name: digits, path: ~no_such_user/x}"},
        [],
        r"tiny\.yaml:2: data.path: this machine has no user of the name in '~no_such_user/x'",
    ),
    "method that is no Python path": (
        {"method": "method: ':x'"},
        [],
        r"tiny\.yaml:5: grid.method: .*Empty module name",
    ),
    "method that tells no arguments": (
        {"method": "method: 'math:hypot'"},
        [],
        "does not tell which arguments it takes",
    ),
    "architecture that tells no arguments": (
        {"architecture": "architecture: 'math:hypot'"},
        [],
        r"tiny\.yaml:4: grid.architecture: .* has no readable signature",
    ),
    "architecture option of no kind": (
        {"architecture": "architecture: {name: vgg_digits, width: null}"},
        [],
        r"tiny\.yaml:4: grid.architecture.width: .* must be a whole number above 0, not None",
    ),
    "architecture told what the data tells": (
        {"architecture": "architecture: {name: vgg_digits, classes: 3}"},
        [],
        r"tiny\.yaml:4: grid.architecture.classes: the data set determines this argument",
    ),
    "network without end": (
        {"architecture": "architecture: {name: vgg_digits, depth: 1000000000}"},
        [],
        r"tiny\.yaml:4: grid.architecture.depth: .* must be at most 1000, not 1000000000",
    ),
    "grid without end": (
        {"sparsity": f"sparsity: {[n / 1000 for n in range(1000)]}", "seed": f"seed: {list(range(100))}"},
        [],
        r"tiny\.yaml:3: grid: has 200,000 combinations, and one sweep up to 100,000",
    ),
    "grid as a list": ({}, ["grid=[1,2]"], "grid: must be a mapping with the axes"),
}


def test_options_that_are_lists_of_lists_make_trials(config, tmp_path, monkeypatch):
    (tmp_path / "nested_nets.py").write_text("def build(classes, stages=[[1, 2], [3]]): ...")
    monkeypatch.syspath_prepend(tmp_path)
    trials = expand(read_sweep(config(architecture="architecture: 'nested_nets:build'")))
    assert len(set(trials)) == 3
    assert dict(trials[0].architecture.options)["stages"] == ((1, 2), (3,))


def test_a_sparsity_below_nothing_by_its_sign_alone_is_the_same_trial(config):
    one, other = (read_sweep(config(method="method: snip", sparsity=f"sparsity: {zero}")) for zero in ("0.0", "-0.0"))
    assert [trial.to_json() for trial in expand(one)] == [trial.to_json() for trial in expand(other)]


def test_a_long_axis_is_read_quickly():
    axes = {"architecture": "vgg_digits", "method": "snip", "sparsity": 0.9, "seed": list(range(50_000))}
    began = time.process_time()
    assert len(read_grid(plain(axes, "here")).seed) == 50_000
    assert time.process_time() - began < 10  # ten times what it takes; a comparison with all before takes minutes


def test_a_file_whose_name_is_none_for_a_sweep_needs_one_in_it(config):
    path = config(name="")
    path = path.rename(path.with_name("my own.yaml"))
    with pytest.raises(InputError, match=r"my own\.yaml:2: name: letters, .* not 'my own', which is the file's name"):
        read_sweep(path)


def test_data_that_must_not_be_looked_at_is_told_of_its_path(config, monkeypatch):
    def refuse(_):
        raise PermissionError(13, "Permission denied", "/secret")

    monkeypatch.setattr("training.data.resolve", refuse)
    with pytest.raises(InputError, match=r"tiny\.yaml:2: data.path: '/secret': Permission denied"):
        read_sweep(config(data="data: {name: digits, path: /secret}"))


@pytest.mark.parametrize("case", BAD)
def test_bad_input_names_place_key_and_fix(config, case):
    replaced, settings, message = BAD[case]
    with pytest.raises(InputError, match=message):
        read_sweep(config(**replaced), settings)


def test_a_list_is_no_config(tmp_path):
    path = tmp_path / "list.yaml"
    path.write_text("- 1\n")
    with pytest.raises(InputError, match=r"list\.yaml:1: a config is a mapping"):
        read_sweep(path)
