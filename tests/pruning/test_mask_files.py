"""Masks as files: written and read back, by numpy and safetensors too."""

import numpy as np
import pytest
import safetensors
import safetensors.torch
import torch

import pruning
from pruning.mask_files import FORMATS

from .networks import batch, convolutional


@pytest.fixture(scope="module")
def pruned():
    return pruning.prune(convolutional(), "random", 0.7, [batch()])


@pytest.mark.parametrize("ending", FORMATS)
def test_masks_are_read_as_they_were_written(pruned, tmp_path, ending):
    path = tmp_path / f"masks{ending}"
    pruning.save_masks(path, pruned)
    found = pruning.load_masks(str(path))
    assert set(found) == set(pruned.masks)
    assert all(
        torch.equal(found[name], mask) and found[name].dtype == torch.bool for name, mask in pruned.masks.items()
    )
    pruning.apply(convolutional(), found)


def test_numpy_reads_one_boolean_array_a_parameter(pruned, tmp_path):
    pruning.save_masks(tmp_path / "m.npz", pruned.masks)
    with np.load(tmp_path / "m.npz") as arrays:
        assert all(np.array_equal(arrays[name], mask.numpy()) for name, mask in pruned.masks.items())
        assert {arrays[name].dtype for name in arrays.files} == {np.dtype(bool)}


def test_safetensors_reads_them_with_their_metadata(pruned, tmp_path):
    pruning.save_masks(tmp_path / "m.safetensors", pruned, {"method": "random"})
    found = safetensors.torch.load_file(tmp_path / "m.safetensors")
    assert all(torch.equal(found[name], mask) for name, mask in pruned.masks.items())
    with safetensors.safe_open(tmp_path / "m.safetensors", "pt") as file:
        assert file.metadata() == {"format": "pt", "method": "random"}


@pytest.mark.parametrize("kind", ["uint8", "float32"])
def test_zeros_and_ones_of_another_tool_are_masks(tmp_path, kind):
    np.savez(tmp_path / "m.npz", a=np.array([[0, 1], [1, 1]], dtype=kind))
    assert pruning.load_masks(tmp_path / "m.npz")["a"].tolist() == [[False, True], [True, True]]


def test_weights_are_no_masks(tmp_path):
    np.savez(tmp_path / "m.npz", a=np.array([0.0, 0.5]))
    with pytest.raises(ValueError, match=r"m.npz: a is no mask: it has other values than 0 and 1"):
        pruning.load_masks(tmp_path / "m.npz")


@pytest.mark.parametrize("ending", FORMATS)
def test_another_file_is_refused_by_name(tmp_path, ending):
    path = tmp_path / f"m{ending}"
    path.write_bytes(b"no masks here")
    with pytest.raises(ValueError, match=f"m{ending}: not a {ending} file"):
        pruning.load_masks(path)


def test_an_unknown_ending_is_refused_and_nothing_written(pruned, tmp_path):
    with pytest.raises(ValueError, match=r"m.pt: the name of a file of masks ends in .npz or .safetensors"):
        pruning.save_masks(tmp_path / "m.pt", pruned)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_file_is_missing(tmp_path):
    for ending in FORMATS:
        with pytest.raises(FileNotFoundError):
            pruning.load_masks(tmp_path / f"m{ending}")
