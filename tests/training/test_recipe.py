import math

import pytest

from training.config import TrainConfig


def test_the_defaults_are_a_valid_recipe():
    assert TrainConfig().momentum == 0.9


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("epochs", -1),
        ("batch_size", 0),
        ("accumulate", 0),
        ("accumulate", 129),
        ("learning_rate", 0),
        ("learning_rate", math.nan),
        ("learning_rate", math.inf),
        ("momentum", 1.0),
        ("label_smoothing", -0.1),
        ("weight_decay", -1e-4),
        ("weight_decay", math.nan),
        ("decay", 0),
        ("milestones", (80, 60)),
        ("milestones", (0,)),
        ("milestones", (60, 60)),
        ("optimizer", "sdg"),
        ("schedule", "step"),
        ("precision", "tf32"),
        ("warmup_epochs", -0.5),
    ],
)
def test_a_value_out_of_range_is_refused_by_field(field: str, value: object):
    with pytest.raises(ValueError, match=f"^{field}: "):
        TrainConfig(**{field: value})


def test_milestones_without_multistep_are_refused():
    with pytest.raises(ValueError, match=r"^milestones: only 'schedule: multistep'"):
        TrainConfig(schedule="cosine", milestones=(10,))


@pytest.mark.parametrize("settings", [{"momentum": 0.0}, {"optimizer": "adam"}])
def test_nesterov_without_momentum_is_refused(settings: dict):
    with pytest.raises(ValueError, match=r"^nesterov: "):
        TrainConfig(nesterov=True, **settings)
