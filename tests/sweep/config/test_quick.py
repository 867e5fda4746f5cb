"""Quick tries: what they change of a config, and that nobody takes them for the real thing."""

from pathlib import Path

import pytest

from sweep.config.config import SweepConfig, read_sweep
from sweep.config.grid import expand, trial_id
from sweep.config.quick import milestones, quick_store
from sweep.errors import InputError
from training.config import TrainConfig

CONFIGS = Path(__file__).parents[3] / "configs"
MINIMAL = "data: digits\ngrid: {architecture: vgg_digits, method: [dense, snip], sparsity: 0.9, seed: 0}\n"


def quick(name: str, *settings: str) -> SweepConfig:
    return read_sweep(CONFIGS / f"{name}.yaml", settings, is_quick=True)


def test_it_trains_two_epochs_on_a_tenth_under_another_name_in_another_store():
    sweep = quick("cifar10")
    assert (sweep.training.epochs, sweep.data.train) == (2, 0.1)
    assert (sweep.name, sweep.store) == ("cifar10-quick", "results-quick")
    real = read_sweep(CONFIGS / "cifar10.yaml")
    assert (sweep.grid, sweep.pruning, sweep.compute) == (real.grid, real.pruning, real.compute)
    assert not {*map(trial_id, expand(sweep))} & {*map(trial_id, expand(real))}


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_config_can_be_tried(path):
    sweep = read_sweep(path, is_quick=True)
    assert sweep.name == f"{path.stem}-quick"
    assert sweep.training.epochs <= 2
    assert all(milestone < sweep.training.epochs for milestone in sweep.training.milestones)


def test_milestones_stand_at_the_same_fractions_of_the_training_and_none_before_its_first_epoch_ends():
    of_160 = TrainConfig(epochs=160, milestones=(80, 120, 160))  # the last is never reached
    assert milestones(of_160, 2) == [1]
    assert milestones(of_160, 16) == [8, 12]
    assert milestones(of_160, 1) == milestones(of_160, 0) == []
    assert milestones(TrainConfig(epochs=160, milestones=(1,)), 2) == [1]
    assert milestones(TrainConfig(epochs=160, milestones=(160,)), 2) == []


def test_a_warm_up_keeps_its_share_of_the_training():
    assert quick("cifar10_small").training.warmup_epochs == pytest.approx(0.5 * 2 / 3)


def test_a_config_that_is_shorter_or_smaller_already_stays_so():
    sweep = quick("cifar10_small", "training.warmup_epochs=0")
    assert sweep.training.epochs == 2
    assert read_sweep(CONFIGS / "digits.yaml", ["training.epochs=1"], is_quick=True).training.epochs == 1


def test_what_set_says_holds_and_milestones_follow_it():
    sweep = quick("cifar10", "training.epochs=7", "data.train=0.5", "store=elsewhere", "grid.seed=5", "name=mine")
    assert (sweep.training.epochs, sweep.training.milestones) == (7, (3, 5))  # of 350: 150 and 250
    assert (sweep.data.train, sweep.store, sweep.grid.seed) == (0.5, "elsewhere", (5,))
    assert sweep.name == "mine-quick"


def test_a_short_config_and_a_name_that_says_quick_already(tmp_path):
    (tmp_path / "mine-quick.yaml").write_text(MINIMAL + "store: here\n")
    sweep = read_sweep(tmp_path / "mine-quick.yaml", is_quick=True)
    assert (sweep.name, sweep.store, sweep.data.train, sweep.training.epochs) == ("mine-quick", "here-quick", 0.1, 2)


def test_half_of_a_twentieth_is_not_more_than_the_config_has(tmp_path):
    (tmp_path / "mine.yaml").write_text(MINIMAL.replace("data: digits", "data: {name: digits, train: 0.05}"))
    assert read_sweep(tmp_path / "mine.yaml", is_quick=True).data.train == 0.05


@pytest.mark.parametrize("text", ["[1, 2]", "training: 3", "name: [a]\n" + MINIMAL, "data: 3"])
def test_a_wrong_config_gets_the_usual_error(text, tmp_path):
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(InputError) as error:
        read_sweep(tmp_path / "mine.yaml", is_quick=True)
    assert str(error.value).startswith(f"{tmp_path}/mine.yaml:1: ")


@pytest.mark.parametrize(
    ("store", "apart"),
    [
        ("results", "results-quick"),
        ("results/", "results-quick"),
        ("/a/b.c", "/a/b.c-quick"),
        (".", "./quick"),
        ("../..", "../../quick"),
        ("s3://bucket/a", "s3://bucket/a-quick"),
        ("s3://bucket/a?region=x&scheme=http", "s3://bucket/a-quick?region=x&scheme=http"),
        ("s3://bucket", "s3://bucket/quick"),
        ("s3://bucket/?region=x", "s3://bucket/quick?region=x"),
    ],
)
def test_its_store_is_beside_the_real_one_and_never_in_another_bucket(store, apart):
    assert quick_store(store) == apart
