"""On a GPU: captured scoring is eager scoring, and masks are selected exactly, without waiting for the GPU.

Kernels that add in another order each time (weight gradients of convolutions) make two eager passes differ as well:
gradients agree within BOUND of their norm, masks of one round but for weights at the threshold.
"""

import pytest
import torch
from torch import nn

import pruning
from pruning import passes
from pruning.device_selection import DeviceSelection, ties
from pruning.masks import count, cut, full, kept_count
from pruning.problem import Problem
from training import models

from .networks import batch, convolutional, residual

pytestmark = pytest.mark.cuda

DEVICE = torch.device("cuda")
BOUND = {"fp32": 1e-3, "bf16": 2e-2}  # TF32 convolutions round to 10 bits, bf16 to 7


def on_gpu(model, channels_last=True):
    model = model.to(DEVICE)
    return model.to(memory_format=torch.channels_last) if channels_last else model


def data(step, size=16, classes=4, side=8):
    generator = torch.Generator().manual_seed(step)
    images = torch.randn(size, 3, side, side, generator=generator)
    return [(images.to(DEVICE), torch.randint(0, classes, (size,), generator=generator).to(DEVICE))]


def problem_of(model, precision="fp32", rounds=100):
    made = Problem(model, "cross_entropy", torch.Generator().manual_seed(0), None, precision)
    made.rounds = rounds
    return made


def random_masks(model, step, density):
    generator = torch.Generator(device=DEVICE).manual_seed(step)
    return {
        name: torch.rand(weight.shape, generator=generator, device=DEVICE) < density
        for name, weight in pruning.prunable(model).items()
    }


def gradients(made, steps, side=8, classes=4):
    found = []
    for step in range(1, steps + 1):
        made.round, made.batches = step, data(step, classes=classes, side=side)
        made.mask(random_masks(made.model, step, 0.5**step))
        found.append(made.gradients())
    return found


def distance(ours, theirs):
    """The greatest of all rounds, by norm, relative."""
    found = []
    for mine, other in zip(ours, theirs, strict=True):
        norm = torch.stack([value.norm() for value in other.values()]).norm()
        difference = torch.stack([(mine[name] - value).norm() for name, value in other.items()]).norm()
        found.append(float(difference / norm))
    return max(found)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("name", models.names())
def test_captured_gradients_of_every_shipped_network_are_the_eager_ones(name, precision):
    side = 64 if name.startswith("imagenet") else 32
    torch.manual_seed(0)
    model = on_gpu(models.build(name, classes=10, size=side))
    made = problem_of(model, precision)
    captured = gradients(made, 3, side, 10)
    assert made.replays.reason is None and made.replays.captured == 1
    eager = gradients(problem_of(model, precision, rounds=1), 3, side, 10)
    apart = distance(captured, eager)
    if apart > BOUND[precision]:  # kernels that add in any order: eager passes differ as much among themselves
        again = gradients(problem_of(model, precision, rounds=1), 3, side, 10)
        assert apart <= 3 * distance(again, eager), f"{apart:.2g} of the norm"


@pytest.mark.parametrize("make", [convolutional, residual])
def test_captured_passes_with_dropout_draw_what_eager_ones_draw(make):
    model = on_gpu(make())
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.5
    made = problem_of(model)
    captured = gradients(made, 5)
    assert made.replays.captured == 1
    assert distance(captured, gradients(problem_of(model, rounds=1), 5)) <= 1e-3


@pytest.mark.parametrize("method", ["force", "iter_snip", "iter_grasp", "synflow"])
@pytest.mark.parametrize("channels_last", [True, False])
def test_pruning_by_replays_keeps_exact_counts_and_the_masks_of_eager_pruning(method, channels_last, monkeypatch):
    model = on_gpu(residual(width=32), channels_last)
    options = {"rounds": 20, "input_shape": (3, 8, 8), "loss": "logit"} if method != "synflow" else {
        "rounds": 20, "input_shape": (3, 8, 8),
    }  # fmt: skip
    steps = []
    captured = pruning.prune(model, method, 0.9, data, on_round=steps.append, **options)
    assert steps == list(range(1, 21))
    total = sum(weight.numel() for weight in pruning.prunable(model).values())
    assert count(captured.masks) == kept_count(total, 0.9) == captured.rounds[-1].kept
    monkeypatch.setattr(passes, "WORTH", 10**6)
    eager = pruning.prune(model, method, 0.9, data, **options)
    assert (captured.passes, captured.work) == (eager.passes, eager.work)
    first, also = captured.rounds[0], eager.rounds[0]
    assert first.force_objective == pytest.approx(also.force_objective, rel=1e-3)
    same = sum(int((captured.masks[name] & mask).sum()) for name, mask in eager.masks.items())
    assert same >= (0.999 if method == "synflow" else 0.5) * count(eager.masks)


def test_the_objective_taken_beside_the_selection_is_that_of_the_gradients():
    made = problem_of(on_gpu(residual(width=64)))
    for step in range(1, 8):
        made.round, made.batches = step, data(step, size=64)
        made.mask(random_masks(made.model, step, 0.5))
        lent = made.gradients(lent=True)
        expected = sum(float((made.parameters[name].detach() * g).abs().sum()) for name, g in lent.items())
        assert float(made.objective) == pytest.approx(expected, rel=1e-5)


class Waiting(nn.Module):
    """Looks at its activations on the host."""

    def __init__(self):
        super().__init__()
        self.inner = residual()

    def forward(self, images):
        return self.inner(images * (2.0 if images.mean().item() > 100 else 1.0))


def test_a_network_that_waits_for_the_gpu_is_scored_eagerly_with_the_same_result():
    torch.manual_seed(0)
    model = on_gpu(Waiting())
    made = problem_of(model)
    found = gradients(made, 4)
    assert made.replays.captured == 0
    assert "it waits for the GPU (test_cuda_scoring.py, line" in made.replays.reason
    assert distance(found, gradients(problem_of(model, rounds=1), 4)) <= 1e-3


def test_a_loss_that_waits_for_the_gpu_is_taken_eagerly():
    model, weights = on_gpu(residual()), torch.ones(4)

    def loss(logits, labels):
        return nn.functional.cross_entropy(logits, labels, weight=weights.to(logits.device))

    made = Problem(model, loss, torch.Generator().manual_seed(0), None)
    made.rounds = 100
    gradients(made, 3)
    assert "waits for the GPU" in made.replays.reason


@pytest.mark.parametrize("values", [0, 1, 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_millions_of_scores_are_cut_as_on_the_host(values, dtype):
    generator = torch.Generator(device="cuda").manual_seed(0)
    shapes = [(512, 512, 3, 3), (2048, 512, 1, 1), (10, 2048)]

    def scores():
        found = {}
        for number, shape in enumerate(shapes):
            score = torch.randn(shape, generator=generator, device=DEVICE, dtype=dtype)
            score = (score * values).round() if values else score
            found[str(number)] = score.to(memory_format=torch.channels_last) if len(shape) == 4 else score
        return found

    weights, before = scores(), full(scores())
    total = sum(weight.numel() for weight in weights.values())
    selection = DeviceSelection(weights)
    for share in (0.9, 0.6, 0.45, 0.05, 0.001):
        now, kept = scores(), round(share * total)
        found = selection.cut(now, kept, recover=False)
        masks, threshold = cut(now, kept, before)
        assert all(found.masks[name].equal(mask) for name, mask in masks.items())
        assert ties(kept, int(found.above), int(found.at)) == threshold.ties(kept)
        before = masks


@pytest.mark.filterwarnings("ignore:Synchronization debug mode")
def test_a_round_waits_for_nothing():
    model = on_gpu(residual(width=32))
    batches = [data(step) for step in range(31)]
    modes = []

    def on_round(step):
        torch.cuda.set_sync_debug_mode("error" if 3 < step < 30 else "default")
        modes.append(step)

    try:
        pruning.prune(model, "force", 0.9, lambda step: batches[step], rounds=30, on_round=on_round, on_remark=print)
    except RuntimeError as error:
        if "synchronizing" in str(error):
            last = modes[-1]
            raise AssertionError(f"round {last} waits for the GPU") from error
        raise
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_scores_that_are_not_finite_end_the_pruning_before_masks_are_given_out():
    def broken(step):
        [(images, labels)] = data(step)
        return [(images * (float("inf") if step == 20 else 1), labels)]

    with pytest.raises(ValueError, match="wanted: finite numbers"):
        pruning.prune(on_gpu(residual()), "force", 0.9, broken, rounds=20)


def test_kept_counts_are_exact_when_all_scores_tie():
    model = on_gpu(convolutional())
    for weight in pruning.prunable(model).values():
        weight.data.zero_()
    pruned = pruning.prune(model, "force", 0.9, data, rounds=15)
    total = sum(weight.numel() for weight in pruning.prunable(model).values())
    assert count(pruned.masks) == kept_count(total, 0.9) == pruned.tied_kept
    assert pruned.tied_candidates == total


def test_pruning_leaves_the_generators_of_the_gpu_and_the_network_as_they_were():
    model, images = on_gpu(convolutional()), batch()[0].to(DEVICE)
    torch.manual_seed(3)
    before, state = [p.clone() for p in model.parameters()], torch.cuda.get_rng_state()
    pruning.prune(model, "force", 0.9, data, rounds=15)
    assert torch.cuda.get_rng_state().equal(state)
    assert all(p.equal(b) for p, b in zip(model.parameters(), before, strict=True))
    model(images)
