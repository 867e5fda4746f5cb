"""Layers left out of a sweep by name: in its plan, in a trial's identity and in its records."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from sweep.cli import main
from sweep.config.config import read_sweep
from sweep.config.grid import expand, trial_id
from sweep.config.trial_config import trial_from
from sweep.errors import InputError
from sweep.trial.networks import summaries
from sweep.trial.run import run_trial

CONFIG = Path(__file__).parents[3] / "configs" / "digits.yaml"
SETTINGS = [
    "grid.architecture={name: vgg_digits, width: 4, depth: 3}", "training.epochs=1", "grid.seed=0", "grid.sparsity=0.9",
    "grid.method={name: force, rounds: 2}", "tracking.enabled=false",
]  # fmt: skip


def read(*settings: str):
    return read_sweep(CONFIG, [*SETTINGS, *settings])


def ids(*settings: str) -> list[str]:
    return [trial_id(trial) for trial in expand(read(*settings))]


def test_what_is_excluded_names_a_trial_in_any_order_and_nothing_excluded_leaves_its_name() -> None:
    plain, two = ids(), ids("pruning.exclude=[classifier, features.0]")
    assert ids("pruning.exclude=[]") == plain
    assert two != plain
    assert ids("pruning.exclude=[features.0, classifier, features.0]") == two
    assert ids("pruning.exclude=classifier") not in (plain, two)


def test_a_trial_of_a_record_reads_back_with_what_it_excluded() -> None:
    [trial] = expand(read("pruning.exclude=classifier"))
    assert trial_from(trial.as_dict()) == trial


def test_the_plan_counts_the_weights_that_are_left_to_prune() -> None:
    def prunable(*settings: str) -> int:
        [summary] = summaries(read(*settings)).values()
        return summary.prunable

    classifier = prunable() - prunable("pruning.exclude=classifier")
    assert classifier > 0
    assert classifier % 10 == 0


@pytest.mark.parametrize("command", ["plan", "launch"])
def test_a_layer_that_a_network_does_not_have_is_refused_before_anything_runs(command: str, tmp_path: Path) -> None:
    settings = [f"--set={setting}" for setting in [*SETTINGS, "pruning.exclude=clasifier", f"store={tmp_path / 'new'}"]]
    done = CliRunner().invoke(main, [command, str(CONFIG), *settings])
    assert done.exit_code == 2
    assert "pruning.exclude: 'clasifier' matches no prunable layer; did you mean 'classifier'?" in done.output
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("value", ["['']", "[3]", "{a: b}"])
def test_names_that_are_none_are_refused(value: str) -> None:
    with pytest.raises(InputError, match=r"pruning\.exclude"):
        read(f"pruning.exclude={value}")


def test_records_are_of_the_layers_that_have_a_mask_and_count_the_work_of_all() -> None:
    [plain], [fewer] = expand(read()), expand(read("pruning.exclude=features.0"))
    one, other = run_trial(plain), run_trial(fewer)
    assert (other.trial.status, other.trial.error_message) == ("completed", None)
    left_out = one.masks[0]
    assert [mask.tensor for mask in other.masks] == [mask.tensor for mask in one.masks[1:]]
    assert other.trial.prunable == one.trial.prunable - left_out.total
    assert other.trial.kept == other.trial.prunable - round(0.9 * other.trial.prunable)
    assert other.trial.macs_dense == one.trial.macs_dense
    assert other.trial.macs_kept == left_out.macs_dense + sum(mask.macs_kept for mask in other.masks)
    assert other.trial.prunable_share < one.trial.prunable_share == 1
    assert other.trial.initial_weights_hash == one.trial.initial_weights_hash
    assert other.trial.trained_weights <= other.trial.prunable


@pytest.mark.slow
@pytest.mark.parametrize(
    "method",
    ["dense", "set", "rigl", "{name: imp, rounds: 2}", "magnitude_after", "grasp", "synflow", "ntk_sap", "erk"],
)
def test_every_way_of_pruning_leaves_excluded_layers_dense_to_the_end(method: str) -> None:
    settings = [f"grid.method={method}", "pruning.exclude=features.0", "training.epochs=2"]
    [trial] = expand(read(*settings))
    outcome = run_trial(trial)
    assert (outcome.trial.status, outcome.trial.error_message) == ("completed", None)
    assert "features.0.0.weight" not in [mask.tensor for mask in outcome.masks]
    expected = 0.0 if method == "dense" else 0.9
    assert outcome.trial.final_sparsity == pytest.approx(expected, abs=1e-3)
