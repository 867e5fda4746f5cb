"""How many trials a machine runs at once, and what limits that."""

import pytest
from click.testing import CliRunner

from sweep.cli import main
from sweep.config.compute import Compute
from sweep.engines.capacity import capacity

CPUS, GPUS = "compute.cpus_per_trial", "compute.gpus_per_trial"


@pytest.mark.parametrize(
    ("cores", "gpus", "cpus_per_trial", "gpus_per_trial", "trials", "limited_by"),
    [
        (16, 1, 2, 0.25, 4, GPUS),
        (4, 1, 2, 0.25, 2, CPUS),
        (8, 1, 2, 0.25, 4, GPUS),
        (64, 4, 2, 0.4, 8, GPUS),
        (64, 4, 2, 0.1, 32, CPUS),
        (16, 0, 2, 1, 0, GPUS),
    ],
)
def test_the_scarcer_of_cores_and_gpus_limits_the_trials(
    cores: int, gpus: int, cpus_per_trial: int, gpus_per_trial: float, trials: int, limited_by: str
) -> None:
    found = capacity(Compute(cpus_per_trial=cpus_per_trial, gpus_per_trial=gpus_per_trial), cores, gpus)
    assert found is not None
    assert (found.trials, found.limited_by) == (trials, limited_by)
    assert found.text.startswith(f"{trials} at once on this machine, limited by {limited_by}")


def test_the_text_says_where_trials_take_turns_on_a_gpu() -> None:
    texts = [capacity(Compute(gpus_per_trial=0.5, mps=mps), 16, 1) for mps in (False, True)]
    assert ["in turns" in text.text for text in texts if text] == [True, False]


def test_trials_on_cpus_have_no_such_line() -> None:
    assert capacity(Compute(), 16, 1) is None


def test_plan_says_what_limits_the_trials(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["plan", "digits", "--set", "compute.gpus_per_trial=0.5"])
    assert result.exit_code == 0, result.output
    assert "trials: 0 at once on this machine, limited by compute.gpus_per_trial=0.5 (0 GPUs)" in result.output
