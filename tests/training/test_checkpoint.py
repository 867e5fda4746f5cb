import os

import pytest
import torch

from training import checkpoint, models
from training.loop import make_optimizer
from training.recipe import TrainConfig


def test_model_and_optimizer_come_back_as_they_were(tmp_path):
    model = models.build("resnet20", classes=10, width=0.25)
    optimizer = make_optimizer(model, TrainConfig())
    model(torch.rand(2, 3, 32, 32)).sum().backward()
    optimizer.step()
    checkpoint.save(tmp_path / "c.pt", {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3})
    state = checkpoint.load(tmp_path / "c.pt")
    assert state["epoch"] == 3
    for name, tensor in model.state_dict().items():
        assert torch.equal(state["model"][name], tensor)
    assert torch.equal(
        state["optimizer"]["state"][0]["momentum_buffer"], optimizer.state_dict()["state"][0]["momentum_buffer"]
    )


def test_a_failed_save_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "c.pt"
    checkpoint.save(path, {"epoch": 1})
    with pytest.raises(Exception, match="pickle"):
        checkpoint.save(path, {"epoch": lambda: 2})  # no pickle takes a lambda
    assert checkpoint.load(path) == {"epoch": 1}
    assert os.listdir(tmp_path) == ["c.pt"]


@pytest.mark.parametrize("keep", [0, 10, 200, -1])
def test_a_truncated_file_is_a_value_error_that_names_it(tmp_path, keep):
    path = tmp_path / "c.pt"
    checkpoint.save(path, {"weights": torch.arange(1000)})
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match=r"c\.pt is no checkpoint or a damaged one"):
        checkpoint.load(path)


def test_a_missing_file_is_just_missing(tmp_path):
    with pytest.raises(FileNotFoundError):
        checkpoint.load(tmp_path / "c.pt")


class Payload:
    ran = False

    def __reduce__(self):
        return setattr, (Payload, "ran", True)


def test_a_checkpoint_cannot_run_code(tmp_path):
    torch.save({"epoch": Payload()}, tmp_path / "c.pt")
    with pytest.raises(ValueError, match="is no checkpoint"):
        checkpoint.load(tmp_path / "c.pt")
    assert not Payload.ran


def test_something_else_than_a_state_is_refused(tmp_path):
    torch.save([1, 2], tmp_path / "c.pt")
    with pytest.raises(ValueError, match="holds a list"):
        checkpoint.load(tmp_path / "c.pt")
