"""The commands and snippets of docs/take-it-home.md run, one after another, and do what the page says."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import pruning
import sweep
from sweep.export.stored import masks_of, stored_network
from sweep.store import Store
from sweep.store.lookup import stored_trial

from .once import folder_made_once
from .sweep.export.conftest import outcomes  # noqa: F401  (a fixture)
from .sweep.small import sweep as run

PAGE = (Path(__file__).parents[1] / "docs/take-it-home.md").read_text(encoding="utf-8")
SNIPPETS = dict(re.findall(r"```python\n# ([\w.]+)[^\n]*\n(.*?)```", PAGE, re.DOTALL))
COMMANDS = [shlex.split(line) for line in re.findall(r"^\$ sweep (.*)$", PAGE, re.MULTILINE)]

pytestmark = pytest.mark.slow  # exports to ONNX and torch.export


class Page:
    """A store with the page's trial, its commands run, and a fresh network for each snippet."""

    def __init__(self, store: Store, trial_id: str):
        self.store, self.record = store, stored_trial(store, trial_id)
        self.masks = masks_of(store, self.record)
        self.images = torch.randn(6, 1, 8, 8, generator=torch.Generator().manual_seed(1))

    def network(self, which: str) -> nn.Module:
        return stored_network(self.store, self.record, which, self.masks)

    def masked(self, which: str) -> torch.Tensor:
        """The logits of the masked network."""
        model = self.network(which)
        pruning.apply(model, self.masks)
        with torch.no_grad():
            return model(self.images)

    def run(self, snippet: str, **names: Any) -> dict[str, Any]:
        names |= {"images": self.images}
        with torch.enable_grad():
            exec(SNIPPETS[snippet], names)
        return names


@pytest.fixture(scope="module")
def page(outcomes, tmp_path_factory):  # noqa: F811

    def export(folder):
        for outcome in outcomes:
            Store(folder / "results").write(outcome)
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            for command in COMMANDS:
                done = run(*(outcomes[0].trial.trial_id[:6] if word == "3f9c" else word for word in command))
                assert done.code == 0, done.err

    folder = folder_made_once(tmp_path_factory, "take home", export)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield Page(Store(folder / "results"), outcomes[0].trial.trial_id)


def close(actual: torch.Tensor, expected: torch.Tensor) -> bool:
    return float((actual.detach() - expected).abs().max()) <= 1e-5 * float(expected.abs().max())


def test_numpy_and_torch_alone_apply_the_mask(page):
    model = page.network("initial")
    page.run("mask.py", model=model)
    assert torch.equal(model(page.images), page.masked("initial"))


def test_a_loop_of_ones_own_holds_removed_weights_at_zero(page):
    model = page.network("initial")
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    loader = [(page.images, torch.arange(6))] * 3
    page.run("train.py", model=model, optimizer=optimizer, loader=loader, loss=nn.functional.cross_entropy)
    weights = dict(model.named_parameters())
    assert all(not weights[name][~mask].any() and weights[name][mask].all() for name, mask in page.masks.items())


def test_torch_prune_takes_the_state(page):
    model = page.network("initial")
    page.run("prune_state.py", model=model)
    assert torch.equal(model(page.images), page.masked("final"))


def test_a_plain_network_takes_the_trained_weights(page):
    model = page.network("initial")
    page.run("weights.py", model=model)
    assert torch.equal(model(page.images), page.masked("final"))


def test_onnxruntime_and_torch_export_run_the_compact_network(page):
    pytest.importorskip("onnxruntime")
    assert close(torch.from_numpy(page.run("onnx_run.py")["logits"]), page.masked("final"))
    assert close(page.run("exported.py")["logits"], page.masked("final"))


def test_the_compact_network_is_rebuilt_from_its_own_code_and_trains(page):
    model = page.network("initial")
    page.run("rebuild.py", model=model)
    assert close(model(page.images), page.masked("final"))
    before = sum(parameter.numel() for parameter in page.network("initial").parameters())
    assert sum(parameter.numel() for parameter in model.parameters()) < before
    nn.functional.cross_entropy(model.train()(page.images), torch.arange(6)).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_the_calls_in_the_table_work(page):
    calls = re.findall(r"`(sweep\.(?:load_masks|initial_weights|final_weights|load)\([^`]*)`", PAGE)
    assert len(calls) == 4
    for call in calls:
        assert eval(call.replace("3f9c", page.record.trial_id[:5]), {"sweep": sweep})
    assert pruning.overlap(page.masks, page.masks)[-1].both == page.record.kept


def test_every_snippet_is_run():
    used = re.findall(r'run\("([\w.]+)"', Path(__file__).read_text(encoding="utf-8"))
    assert set(SNIPPETS) == set(used)
    assert len(COMMANDS) == 6
