"""Checkpoints: bytes in, the same state out, or a ValueError of one line."""

import io
import os
import pickle

import pytest
import torch

from training import checkpoint

STATE = {
    "model": {"weight": torch.randn(20, 30), "count": torch.tensor(3)},
    "optimizer": {"weight": {"step": 2.0, "momentum_buffer": None}},
    "rounds": [{"kept": 5, "name": "ä"}],
    "epoch": 3,
    "random": None,
}


def test_a_state_comes_back_as_it_was_down_to_signs_of_zero_and_order_of_memory():
    images = torch.randn(2, 3, 4, 4).to(memory_format=torch.channels_last)
    zeros = torch.tensor([0.0, -0.0, float("nan")])
    state = checkpoint.load(checkpoint.dump(STATE | {"images": images, "zeros": zeros}))
    assert list(state) == [*STATE, "images", "zeros"]
    assert torch.equal(state["model"]["weight"], STATE["model"]["weight"])
    assert state["images"].stride() == images.stride()
    assert torch.equal(state["zeros"].view(torch.int32), zeros.view(torch.int32))
    for key in ("optimizer", "rounds", "epoch", "random"):
        assert state[key] == STATE[key]


def test_a_dump_does_not_change_with_what_it_was_made_of():
    weight = torch.zeros(3)
    data = checkpoint.dump({"weight": weight})
    weight += 1
    assert checkpoint.load(data)["weight"].tolist() == [0, 0, 0]


def assert_refused(data: bytes, match: str) -> None:
    with pytest.raises(ValueError, match=match) as caught:
        checkpoint.load(data)
    assert "\n" not in str(caught.value)


def test_a_truncated_checkpoint_is_refused_wherever_it_ends():
    data = checkpoint.dump(STATE)
    for keep in (0, 5, 18, 19, 40, 51, 52, 200, len(data) // 2, len(data) - 1):
        assert_refused(data[:keep], "this is not a checkpoint" if keep < 19 else "damaged or cut short")
    assert_refused(data + b"\0", "damaged or cut short")


def test_a_single_wrong_bit_is_found_wherever_it_is():
    data = checkpoint.dump(STATE)
    for place in range(0, len(data), 97):
        damaged = bytearray(data)
        damaged[place] ^= 1
        assert_refused(bytes(damaged), "not a checkpoint|damaged or cut short")


class Payload:
    ran = False

    def __reduce__(self):
        return setattr, (Payload, "ran", True)


def of_torch(state: object) -> bytes:
    file = io.BytesIO()
    torch.save(state, file)
    return file.getvalue()


@pytest.mark.parametrize(
    "data",
    [b"", b"no checkpoint", os.urandom(1000), pickle.dumps(Payload()), of_torch({"epoch": Payload()}), of_torch({})],
    ids=["nothing", "text", "noise", "pickle", "torch with code", "torch"],
)
def test_foreign_bytes_are_refused_and_run_nothing(data):
    assert_refused(data, "this is not a checkpoint")
    assert not Payload.ran


def test_a_checkpoint_cannot_run_code():
    assert_refused(checkpoint.dump({"epoch": Payload()}), "types that are not allowed")
    assert not Payload.ran


def test_something_else_than_a_state_is_refused():
    assert_refused(checkpoint.dump([1, 2]), "contains a list, not a dict")
