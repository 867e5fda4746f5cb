"""The grid and the names of its trials."""

from dataclasses import replace
from pathlib import Path

import pytest

from sweep.config import trial_config
from sweep.config.config import read_sweep
from sweep.config.grid import expand, title, trial_id
from sweep.config.trial_identity import canonical, hashed
from sweep.errors import InputError
from sweep.launch.preflight import check_sparsities

CONFIGS = Path(__file__).parents[3] / "configs"

# A trial is named by its content, and stores written last year must still be found complete. If this test turns
# red you changed what a trial is: a default, the name of a field, a new field. Give a new field a default that
# leaves identity() as it was, or accept that every stored trial runs again and say so in CHANGELOG.md.
GOLDEN = {
    ("digits", "dense", 0.0, 0): "b6ec709039271ba0",
    ("digits", "snip", 0.99, 0): "8a4ad1445f85a699",
    ("digits", "force", 0.995, 1): "6566c3c259c09f2e",
    ("cifar10", "dense", 0.0, 0): "68edda764bb6b4b6",
    ("cifar10", "snip", 0.95, 0): "87a522c50207fd41",
    ("cifar10", "force", 0.995, 2): "724609853c01f0a2",
}


def test_golden_ids_have_not_moved():
    found = {}
    for name in ("digits", "cifar10"):
        trials = expand(read_sweep(CONFIGS / f"{name}.yaml"))
        for trial in (trials[0], trials[7], trials[-1]):
            found[name, trial.method.name, trial.sparsity, trial.seed] = trial_id(trial)
    assert found == GOLDEN


def test_the_grid_is_every_combination_and_dense_runs_once_a_seed_and_architecture():
    trials = expand(read_sweep(CONFIGS / "cifar10.yaml"))
    assert len(trials) == 2 * 3 * (1 + 5 * 5)
    dense = [t for t in trials if t.method.name == "dense"]
    assert {(t.architecture.name, t.sparsity, t.seed) for t in dense} == {
        (a, 0.0, s) for a in ("resnet50", "vgg19") for s in (0, 1, 2)
    }


def test_ids_differ_for_every_trial_of_a_grid():
    trials = expand(read_sweep(CONFIGS / "cifar10.yaml"))
    assert len({trial_id(trial) for trial in trials}) == len(trials)


def test_where_the_data_lies_and_how_it_is_read_are_no_part_of_the_name():
    trial = expand(read_sweep(CONFIGS / "cifar10.yaml"))[0]
    moved = replace(trial, data=replace(trial.data, path="/elsewhere", download=False, workers=1, image_column="img"))
    assert trial_id(moved) == trial_id(trial)


def test_a_fraction_of_the_images_is_part_of_the_name_and_all_of_them_left_out_of_it():
    trial = expand(read_sweep(CONFIGS / "cifar10.yaml"))[0]
    assert trial_id(replace(trial, data=replace(trial.data, train=0.1))) != trial_id(trial)
    assert trial_id(expand(read_sweep(CONFIGS / "cifar10.yaml", ["data.train=1"]))[0]) == trial_id(trial)
    assert "train" not in trial.identity()["data"]


def test_whatever_changes_the_outcome_changes_the_name():
    trial = expand(read_sweep(CONFIGS / "cifar10.yaml"))[0]
    others = [
        replace(trial, seed=9),
        replace(trial, sparsity=0.123),
        replace(trial, training=replace(trial.training, precision="bf16")),
        replace(trial, pruning=replace(trial.pruning, loss="logit")),
        replace(trial, data=replace(trial.data, format="parquet")),
        replace(trial, data=replace(trial.data, flip=False)),
    ]
    assert len({trial_id(t) for t in [trial, *others]}) == 7


def test_a_default_written_out_is_the_same_trial(tmp_path):
    text = (CONFIGS / "digits.yaml").read_text()
    path = tmp_path / "digits.yaml"
    path.write_text(text.replace("force]", "{name: force, rounds: 60}]"))
    shipped, written = expand(read_sweep(CONFIGS / "digits.yaml")), expand(read_sweep(path))
    assert [trial_id(t) for t in written] == [trial_id(t) for t in shipped]


@pytest.mark.parametrize(
    ("zero", "other"),
    [
        ("grid.sparsity=0.0", "grid.sparsity=-0.0"),
        ("training.weight_decay=0.0", "training.weight_decay=-0.0"),
        ("training.momentum=0", "training.momentum=-0.0"),
        ("training.warmup_epochs=0.0", "training.warmup_epochs=-0e3"),
        ("training.label_smoothing=0", "training.label_smoothing=-0.00"),
        ("data.validation=0", "data.validation=0.0"),
        ("data.validation=0", "data.validation=-0.0"),
        ("grid.method={name: snip, floor: 0}", "grid.method={name: snip, floor: -0.0}"),
        ("grid.method={name: snip, floor: 1}", "grid.method={name: snip, floor: 1.0}"),
    ],
)
def test_equal_numbers_are_one_trial_however_they_are_written(zero, other):
    names = []
    for setting in (zero, other):
        settings = ["grid.method=snip", "grid.sparsity=0.9", "grid.seed=0", setting]
        names.append([trial_id(trial) for trial in expand(read_sweep(CONFIGS / "digits.yaml", settings))])
    assert names[0] == names[1]


def test_options_that_differ_in_the_last_digit_have_labels_that_do():
    method = f"grid.method=[{{name: snip, floor: 0.3}}, {{name: snip, floor: {0.1 + 0.2}}}]"
    settings = [method, "grid.sparsity=0.9", "grid.seed=0"]
    labels = [trial.method_label for trial in expand(read_sweep(CONFIGS / "digits.yaml", settings))]
    assert labels == ["snip floor=0.3", "snip floor=0.30000000000000004"]


def test_sparsities_that_keep_the_same_weights_of_every_network_are_duplicates():
    labels = {"one": "vgg_digits width=8", "another": "vgg_digits width=4"}

    def check(sparsities, weights, methods="snip"):
        networks = [f"{{name: vgg_digits, width: {labels[name][-1]}}}" for name in weights]
        settings = [
            f"grid.sparsity={sparsities}",
            f"grid.method={methods}",
            f"grid.architecture=[{', '.join(networks)}]",
        ]
        sweep = read_sweep(CONFIGS / "digits.yaml", settings)
        check_sparsities(sweep, {labels[name]: number for name, number in weights.items()})

    with pytest.raises(
        InputError, match=r"^grid.sparsity: 0.3 and 0.30000000000000004 keep the same number.*\(700, 7\)"
    ):
        check([0.3, 0.5, 0.1 + 0.2], {"one": 1000, "another": 10})
    with pytest.raises(InputError, match="0.9 and 0.94 keep the same number .* remove one"):
        check([0.9, 0.94], {"one": 10})
    check([0.9, 0.94], {"one": 10, "another": 1000})
    check([0.3, 0.1 + 0.2], {"one": 1000}, methods="dense")


def test_a_trials_title_is_what_a_person_calls_it():
    trial = next(
        t for t in expand(read_sweep(CONFIGS / "cifar10.yaml")) if t.method.name == "force" and t.sparsity > 0.99
    )
    assert title(trial) == "resnet50 force rounds=300 99.5% s0"


def test_an_ablation_is_an_axis_that_dense_and_sparsity_zero_have_no_part_in():
    settings = ["grid.method=[dense, snip]", "grid.sparsity=[0, 0.9]", "grid.seed=0"]
    trials = expand(read_sweep(CONFIGS / "digits.yaml", [*settings, "grid.ablation=[none, invert]"]))
    assert [(t.method.name, t.sparsity, t.ablation) for t in trials] == [
        ("dense", 0.0, "none"),
        ("snip", 0.0, "none"),
        ("snip", 0.9, "none"),
        ("snip", 0.9, "invert"),
    ]
    assert title(trials[-1]) == "vgg_digits snip ablation=invert 90% s0"


def test_what_inverting_means_nothing_for_is_not_inverted():
    settings = ["grid.method=[snip, set, rigl, imp]", "grid.sparsity=0.9", "grid.seed=0"]
    trials = expand(read_sweep(CONFIGS / "digits.yaml", [*settings, "grid.ablation=[invert, reinitialize]"]))
    assert [t.method.name for t in trials if t.ablation == "invert"] == ["snip", "imp"]
    assert [t.method.name for t in trials if t.ablation == "reinitialize"] == ["snip", "set", "rigl", "imp"]


def test_an_ablation_changes_the_name_and_none_leaves_it_as_it_was():
    settings = ["grid.method=snip", "grid.sparsity=0.99", "grid.seed=0"]
    trials = expand(read_sweep(CONFIGS / "digits.yaml", [*settings, "grid.ablation=[none, invert, reinitialize]"]))
    names = [trial_id(trial) for trial in trials]
    assert names[0] == GOLDEN["digits", "snip", 0.99, 0]
    assert len(set(names)) == 3


def test_an_option_that_is_off_and_stays_off_is_no_part_of_the_name():
    def name(method):
        settings = [f"grid.method={method}", "grid.sparsity=0.99", "grid.seed=0"]
        return trial_id(expand(read_sweep(CONFIGS / "digits.yaml", settings))[0])

    assert name("{name: snip, floor: 0}") == GOLDEN["digits", "snip", 0.99, 0] != name("{name: snip, floor: 0.1}")


def test_saliencies_in_bf16_are_another_trial_and_in_fp32_the_one_that_there_always_was():
    def name(precision):
        settings = ["grid.method=snip", "grid.sparsity=0.99", "grid.seed=0", f"pruning.precision={precision}"]
        return trial_id(expand(read_sweep(CONFIGS / "digits.yaml", settings))[0])

    assert name("fp32") == GOLDEN["digits", "snip", 0.99, 0] != name("bf16")


def test_training_the_compact_network_is_no_part_of_the_name():
    settings = ["grid.method=snip", "grid.sparsity=0.99", "grid.seed=0", "compute.compact=false"]
    [trial] = expand(read_sweep(CONFIGS / "digits.yaml", settings))
    assert trial_id(trial) == GOLDEN["digits", "snip", 0.99, 0]


def test_whether_steps_are_captured_is_no_part_of_the_name():
    settings = ["grid.method=snip", "grid.sparsity=0.99", "grid.seed=0", "compute.graphs=off"]
    sweep = read_sweep(CONFIGS / "digits.yaml", settings)
    [trial] = expand(sweep)
    assert sweep.compute.graphs == "off"
    assert trial_id(trial) == GOLDEN["digits", "snip", 0.99, 0]


def test_the_ids_of_many_trials_write_what_they_share_once(monkeypatch):
    """What takes time in a plan of thousands: of two values a trial, and of each part that many trials have."""
    trials = expand(read_sweep(CONFIGS / "digits.yaml", [f"grid.seed=[{', '.join(map(str, range(50)))}]"]))
    written = []
    monkeypatch.setattr(trial_config, "canonical", lambda value: written.append(value) or canonical(value))
    ids = [trial_id(trial) for trial in trials]
    shared = [value for value in written if isinstance(value, dict)]
    methods = len({trial.method for trial in trials})
    assert len(written) - len(shared) == 2 * len(trials)
    assert len(shared) <= methods + 4 < len(trials) / 10  # the architecture, the data, the pruning and the training
    assert ids == [hashed(canonical(trial.identity())) for trial in trials]


def test_equal_parts_that_are_written_otherwise_have_ids_of_their_own():
    """An integer and a float are equal, and their texts are not: a part is known again only if it is the same object."""
    [trial, *_] = expand(read_sweep(CONFIGS / "digits.yaml"))
    one = replace(trial, training=replace(trial.training, momentum=0.0))
    two = replace(trial, training=replace(trial.training, momentum=0))
    assert one == two
    assert [trial_id(one), trial_id(two)] == [hashed(canonical(each.identity())) for each in (one, two)]
