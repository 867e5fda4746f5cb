"""``sweep export``: every file is read back by the tool that it is for."""

import json
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors
import safetensors.torch
import torch
from torch import nn
from torch.nn.utils import prune

import pruning
import sweep
from pruning.compaction.tracing import deep_copy
from sweep.export import writing
from sweep.export.compact import compact_network
from sweep.export.formats import FORMATS
from sweep.export.stored import masks_of, stored_network
from sweep.store.lookup import stored_trial

from ..small import sweep as run

BOUND = 1e-5  # of the largest logit: what sums in another order may differ by in float32


def export(results, *arguments, code=0):
    done = run("export", *arguments, "--store", results.uri)
    assert done.code == code, done.err
    return done


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def masked_network(results, trial_id, which="final") -> nn.Module:
    record = stored_trial(results, trial_id)
    masks = masks_of(results, record)
    model = stored_network(results, record, which, masks)
    pruning.apply(model, masks)
    return model


def images(count=5):
    return torch.randn(count, 1, 8, 8, generator=torch.Generator().manual_seed(7))


def close(actual, expected) -> bool:
    return float((actual - expected).abs().max()) <= BOUND * float(expected.abs().max())


def test_numpy_reads_exported_masks(results, folder, force):
    done = export(results, force[:8], "--masks")
    path = folder / f"{force}-masks.npz"
    assert done.out.startswith(f"wrote {path.name} (")
    masks = sweep.load_masks(results, force)
    with np.load(path) as arrays:
        assert arrays.files == list(masks)
        assert all(np.array_equal(arrays[name], mask.numpy()) for name, mask in masks.items())
    assert all(torch.equal(mask, masks[name]) for name, mask in pruning.load_masks(path).items())


def test_safetensors_reads_exported_masks_with_their_trial(results, outcomes, folder, force):
    export(results, force, "--masks", "--out", "mask.safetensors")
    masks = sweep.load_masks(results, force)
    found = safetensors.torch.load_file("mask.safetensors")
    assert all(torch.equal(mask, masks[name]) for name, mask in found.items())
    with safetensors.safe_open("mask.safetensors", "pt") as file:
        assert file.metadata()["trial"] == force
        assert file.metadata()["title"] == outcomes[0].trial.title
    mode = stat.S_IMODE((folder / "mask.safetensors").stat().st_mode)
    (folder / "other").touch()
    assert mode == stat.S_IMODE((folder / "other").stat().st_mode)  # others may read it as any new file


@pytest.mark.parametrize("which", ["initial", "final"])
def test_torch_prune_takes_the_exported_state_into_a_plain_network(results, force, which):
    export(results, force, "--masks", "--format", "torch-prune", "--weights", which)
    state = torch.load(f"{force}-masks.pt")
    masks = sweep.load_masks(results, force)
    plain = stored_network(results, stored_trial(results, force), "initial", masks)
    for name in masks:
        module, _, parameter = name.rpartition(".")
        prune.identity(plain.get_submodule(module), parameter)
    plain.load_state_dict(state)
    assert torch.equal(plain(images()), masked_network(results, force, which)(images()))
    for module in list(plain.modules()):
        if hasattr(module, "weight_mask"):
            prune.remove(module, "weight")
    assert torch.equal(plain(images()), masked_network(results, force, which)(images()))


@pytest.mark.parametrize("format", FORMATS["weights"])
@pytest.mark.parametrize("which", ["initial", "final"])
def test_weights_are_read_by_safetensors_numpy_and_torch(results, force, which, format):
    export(results, force, "--weights", which, "--format", format)
    path = f"{force}-weights-{which}{FORMATS['weights'][format].ending}"
    read = {
        "safetensors": safetensors.torch.load_file,
        "npz": lambda file: {name: torch.from_numpy(array) for name, array in np.load(file).items()},
        "pt": torch.load,
    }[format]
    expected = {"initial": sweep.initial_weights, "final": sweep.final_weights}[which](results, force)
    found = read(path)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


@pytest.mark.parametrize("format", ["safetensors", "pt"])
@pytest.mark.parametrize("which", ["initial", "final"])
def test_a_plain_network_computes_the_same_with_the_compact_state(results, force, which, format):
    export(results, force, "--compact", "--weights", which, "--format", format)
    path = f"{force}-compact-{which}{FORMATS['compact'][format].ending}"
    state = safetensors.torch.load_file(path) if format == "safetensors" else torch.load(path)
    widths = json.loads(Path(f"{path}.json").read_text())
    plain = stored_network(results, stored_trial(results, force), "initial", {})
    for name, tensor in state.items():  # as docs/take-it-home.md does it
        module, _, attribute = name.rpartition(".")
        owner = plain.get_submodule(module)
        (owner._buffers if attribute in owner._buffers else owner._parameters)[attribute] = (
            tensor if attribute in owner._buffers else nn.Parameter(tensor)
        )
    assert widths["no_channel_removed"] is None
    assert 0 < widths["macs"] < widths["macs_dense"]
    assert [layer["shape"] for layer in widths["layers"]] == [
        list(state[f"{layer['module']}.weight"].shape) for layer in widths["layers"]
    ]
    with torch.no_grad():
        expected = masked_network(results, force, which)(images())
        assert close(plain.eval()(images()), expected)
    assert widths["largest_difference_of_a_logit"] <= BOUND * widths["largest_logit"]


@pytest.mark.slow  # torch's exporter takes seconds to import
def test_torch_export_runs_the_compact_network_for_any_batch(results, force):
    export(results, force, "--compact", "--out", "net.pt2")
    program = torch.export.load("net.pt2").module()
    with torch.no_grad():
        for count in (1, 5):
            assert close(program(images(count)), masked_network(results, force)(images(count)))


@pytest.mark.slow  # torch's exporter takes seconds to import
def test_onnxruntime_runs_the_compact_network_as_the_masked_one(results, force):
    onnxruntime = pytest.importorskip("onnxruntime")
    done = export(results, force, "--compact", "--format", "onnx")
    assert done.err == ""
    session = onnxruntime.InferenceSession(f"{force}-compact-final.onnx")
    assert [(one.name, one.shape) for one in session.get_inputs()] == [("images", ["batch", 1, 8, 8])]
    with torch.no_grad():
        for count in (1, 7):
            [logits] = session.run(["logits"], {"images": images(count).numpy()})
            assert close(torch.from_numpy(logits), masked_network(results, force)(images(count)))


def test_without_the_packages_for_onnx_the_error_has_the_command_and_nothing_is_written(
    results, folder, force, monkeypatch
):
    find = writing.importlib.util.find_spec
    monkeypatch.setattr(writing.importlib.util, "find_spec", lambda name: None if name == "onnxscript" else find(name))
    done = export(results, force, "--compact", "--format", "onnx", code=2)
    assert done.err == "error: --format onnx needs onnxscript: pip install 'sweep[onnx]'\n"
    assert list(folder.iterdir()) == []


def test_a_network_without_dead_channels_is_exported_whole_and_says_so(results, outcomes, random):
    record = stored_trial(results, random)
    masks = pruning.masks.full(masks_of(results, record))
    network = compact_network(stored_network(results, record, "initial", masks), masks, (1, 8, 8))
    assert network.reason == "every channel may carry something"
    assert (network.weights, network.macs, network.difference) == (network.weights_dense, network.macs_dense, 0.0)
    deep_copy(network.model, {})


def test_without_kept_weights_the_compact_network_has_the_initial_ones(results, folder, random):
    done = export(results, random, "--compact", "--json")
    assert json.loads(done.out) == {
        "trial_id": random,
        "files": [f"{random}-compact-initial.safetensors", f"{random}-compact-initial.safetensors.json"],
        "format": "safetensors",
        "weights": "initial",
    }
    done = export(results, random, "--weights", "final", code=2)
    assert "--force --set compute.keep_weights=final" in done.err


def test_masks_and_final_weights_of_a_store_from_elsewhere_import_nothing_that_it_names(local, outcomes, folder, force):
    (folder / "evil.py").write_text("raise SystemExit('imported')")
    config = json.loads(outcomes[0].trial.config)
    config["architecture"]["name"], config["method"]["name"] = "evil.py:build", "evil.py:score"
    local.write(replace(outcomes[0], trial=replace(outcomes[0].trial, config=json.dumps(config))))
    export(local, force, "--masks")
    export(local, force, "--masks", "--format", "torch-prune")
    export(local, force, "--weights", "final")
    assert run("masks", force, "--store", local.uri).code == run("masks", force, force, "--store", local.uri).code == 0
    assert "imported" in export(local, force, "--compact", code=2).err


def test_a_mask_and_a_compact_network_come_out_of_s3(store, outcomes, force):
    store.write(outcomes[0])
    export(store, force, "--masks")
    export(store, force, "--compact")
    masks = pruning.load_masks(f"{force}-masks.npz")
    assert all(torch.equal(mask, masks[name]) for name, mask in sweep.load_masks(store, force).items())


def test_nothing_is_overwritten_unasked(results, folder, force):
    export(results, force, "--masks", "--out", "m.npz")
    (folder / "m.npz").write_text("mine")
    done = export(results, force, "--masks", "--out", "m.npz", code=2)
    assert done.err == "error: --out: m.npz exists; --force replaces it, another --out keeps it\n"
    assert (folder / "m.npz").read_text() == "mine"
    export(results, force, "--masks", "--out", "m.npz", "--force")
    assert pruning.load_masks("m.npz")
    (folder / "net.pt.json").write_text("mine")
    export(results, force, "--compact", "--out", "net.pt", code=2)
    assert not (folder / "net.pt").exists()


def test_a_file_that_cannot_be_written_whole_is_not_written(results, folder, force, monkeypatch):
    def full(self, *given, **options):
        raise OSError(28, "No space left on device", str(self))

    monkeypatch.setattr("pathlib.Path.write_text", full)
    done = export(results, force, "--compact", code=2)
    assert "No space left on device" in done.err
    assert list(folder.iterdir()) == []


WRONG = {
    "nothing to export": ([], "say what to export: --masks, --weights initial, --weights final or --compact"),
    "two at once": (["--masks", "--compact"], "--masks and --compact are two files"),
    "weights in bare masks": (["--masks", "--weights", "final"], "--format torch-prune has both"),
    "another content's format": (
        ["--masks", "--format", "onnx"],
        "masks can be written as npz, safetensors, torch-prune",
    ),
    "an unknown ending": (["--masks", "--out", "m.mask"], "ends in .npz (npz), .safetensors (safetensors), .pt"),
    "format and ending": (["--compact", "--format", "onnx", "--out", "m.pt"], "files of --format onnx end in .onnx"),
}


@pytest.mark.parametrize(("arguments", "message"), WRONG.values(), ids=WRONG)
def test_a_wrong_request_is_refused_before_anything_is_written(results, folder, force, arguments, message):
    done = export(results, force, *arguments, code=2)
    assert message in done.err
    assert list(folder.iterdir()) == []


def test_a_folder_takes_files_of_the_usual_names(results, folder, force):
    export(results, force, "--masks", "--out", "new/folder")
    assert (folder / f"new/folder/{force}-masks.npz").exists()


def test_the_command_line_starts_without_torch():
    code = "import sys, sweep.cli; assert 'torch' not in sys.modules; assert {'load_masks', 'final_weights'} <= set(dir(sweep))"
    subprocess.run([sys.executable, "-c", code], check=True)
