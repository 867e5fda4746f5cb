"""On a GPU: captured steps and evaluations are the eager ones, bit for bit where eager ones repeat themselves.

Some of cuDNN's and PyTorch's kernels add up in an order that differs from run to run. Where two eager trainings differ,
a captured one may differ from them by so much, and no more.
"""

import time
import warnings
from dataclasses import replace
from itertools import count

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import pruning
from training import checkpoint, models, seeding
from training.config import TrainConfig
from training.data import DataConfig, Dataset, Splits, split
from training.evaluate import Evaluation, evaluate
from training.graphs import on_side_stream
from training.loop import Training

from .captured import QUICK, Counts, Draws, masked, network, on_cpu
from .stopping import Stopped, bright_rows

pytestmark = pytest.mark.cuda

STEPS = TrainConfig(epochs=2, batch_size=16, learning_rate=0.02, schedule="cosine", warmup_epochs=0.5)


@pytest.fixture(autouse=True)
def deterministic():
    before = torch.backends.cudnn.deterministic
    torch.backends.cudnn.deterministic = True
    yield
    torch.backends.cudnn.deterministic = before


def noise(images: int, *, size: int = 32, channels: int = 3, validation: int = 0) -> Splits:
    """Random images in classes that can be told apart by brightness."""
    rng, labels = np.random.default_rng(0), np.arange(images) % 10
    pixels = rng.integers(0, 128, (images, channels, size, size), np.uint8)
    pixels += (12 * labels[:, None, None, None]).astype(np.uint8)
    config = DataConfig(
        "cifar10", format="builtin", classes=10, image_size=size, crop_padding=2, flip=True, validation=validation
    )
    dataset = Dataset(
        pixels, labels, pixels[:64], labels[:64], 10, (0.4,) * channels, (0.3,) * channels, "exact", f"{images} {size}"
    )
    return split(dataset, config, 0, "cuda")


class Run:
    """A training on the GPU: the loss after each step, the results of its epochs and the weights it ends with."""

    def __init__(self, splits, config=STEPS, model=None, masking=None, **options):
        self.model = (model or network()).to("cuda")
        self.masking = masking and masking(self.model, splits, "cuda")
        losses, self.revived = [], torch.zeros((), dtype=torch.int64, device="cuda")

        def on_step() -> None:
            losses.append(self.training.state()["loss"].clone())
            if isinstance(self.masking, pruning.Masking):
                for name, mask in self.masking.masks.items():
                    self.revived += (self.model.get_parameter(name).detach()[~mask] != 0).sum()

        self.training = Training(
            self.model, splits, config, 0, masking=self.masking, device="cuda", on_step=on_step, **options
        )
        self.results = [replace(each, images_per_second=0, epoch_seconds=0) for each in self.training.run()]
        self.losses = torch.stack(losses).cpu()
        self.state = {**on_cpu(self.training.state()["model"])}

    def equals(self, other: "Run") -> bool:
        same = (torch.equal(self.state[name], other.state[name]) for name in self.state)
        return self.results == other.results and torch.equal(self.losses, other.losses) and all(same)

    def distance(self, other: "Run") -> float:
        """The largest relative difference of a loss, or of a tensor by its norm."""
        pairs = [(self.losses, other.losses), *((self.state[name], other.state[name]) for name in self.state)]
        return max(_distance(one.double(), two.double()) for one, two in pairs)


def _distance(one: Tensor, other: Tensor) -> float:
    return ((one - other).norm() / other.norm().clamp(min=1e-12)).item()


def assert_captured_is_eager(make, expected: str = "graph") -> Run:
    """Train captured and eagerly; ``make`` takes the option ``graphs``."""
    captured, eager = make(graphs="auto"), make(graphs="off")
    assert captured.training.step == expected, captured.training.eager_reason
    if not captured.equals(eager):
        again = make(graphs="off")
        assert not again.equals(eager), f"differs by {captured.distance(eager)}, and eager trainings repeat themselves"
        noise = again.distance(eager)
        print(f"bits differ, eager ones too, by {noise:.1e}; captured by {captured.distance(eager):.1e}")
        assert captured.distance(eager) <= 20 * noise
    assert captured.revived == 0
    return captured


# --- captured is eager


@pytest.mark.parametrize("name", models.names())
def test_every_shipped_network_trains_captured_as_eagerly(name):
    options = {"channels": 1, "size": 8} if name == "vgg_digits" else {}
    size = options.get("size", 64 if name.startswith("imagenet") else 32)
    splits = noise(25 * 16, size=size, channels=options.get("channels", 3))

    def make(graphs: str) -> Run:
        with seeding.seeded(0, "weights"):
            model = models.build(name, classes=10, **{"channels": 3, "size": size} | options)
        rate = 1e-4 if name == "imagenet_vgg19" else STEPS.learning_rate  # no BatchNorm
        return Run(splits, replace(STEPS, precision="bf16", learning_rate=rate), model, graphs=graphs)

    run = assert_captured_is_eager(make)
    assert len(run.losses) == 50
    assert run.losses.diff().any()


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"nesterov": True, "channels_last": False},
        {"momentum": 0.0},
        {"optimizer": "adam", "learning_rate": 0.01},
        {"optimizer": "adamw", "learning_rate": 0.01, "precision": "bf16"},
        {"schedule": "multistep", "milestones": (1, 2), "warmup_epochs": 0.0},
        {"schedule": "constant"},
        {"label_smoothing": 0.1},
        {"accumulate": 3},
        {"accumulate": 2, "precision": "bf16"},
    ],
    ids=str,
)
def test_every_optimizer_schedule_and_way_to_step_is_the_same_captured(changes):
    """With a smaller last batch, which is captured from the fourth epoch on, dropout and validation."""
    splits = bright_rows(200 + 8, validation=40, crop_padding=2, device="cuda")
    assert_captured_is_eager(lambda graphs: Run(splits, replace(STEPS, epochs=5, **changes), graphs=graphs))


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize(
    "masking",
    [masked("random"), masked("set"), masked("rigl", every=4, until=1.0), masked("imp", rounds=1)],
    ids=["fixed", "set", "rigl", "imp"],
)
def test_every_masking_is_the_same_captured_and_removed_weights_are_zero_after_every_step(masking, optimizer):
    splits = bright_rows(72, validation=20, device="cuda")
    config = replace(QUICK, epochs=5, optimizer=optimizer, learning_rate=0.01)
    run = assert_captured_is_eager(lambda graphs: Run(splits, config, masking=masking, graphs=graphs))
    assert (len(run.masking.rounds) > 0) == (type(run.masking).__name__ in ("RigL", "SparseEvolution"))


def test_a_rigl_that_moves_in_every_step_is_never_captured():
    splits = bright_rows(64, device="cuda")
    config = replace(QUICK, epochs=2)
    assert_captured_is_eager(
        lambda graphs: Run(splits, config, masking=masked("rigl", every=1), graphs=graphs), "eager"
    )


def test_fp16_trains_eagerly_and_says_why():
    run = Run(bright_rows(64, device="cuda"), replace(QUICK, precision="fp16"))
    assert (run.training.step, run.training.eager_reason) == ("eager", "fp16 scales gradients by what the host sees")


def test_a_replayed_evaluation_is_an_eager_one():
    model, images = network().to("cuda"), bright_rows(64, device="cuda").test
    replayed = Evaluation(model, images, device="cuda", batch_size=24, reason=None)
    with on_side_stream(torch.device("cuda")):
        for number in range(5):
            with torch.no_grad():
                model[0].weight += number / 10
            assert replayed() == evaluate(model, images, device="cuda", batch_size=24)
    assert replayed._replay is not None


# --- stopping and going on


@pytest.mark.parametrize("masking", [masked("random"), masked("rigl", every=5, until=1.0)], ids=["fixed", "rigl"])
@pytest.mark.parametrize("stop", [7, 12, 19])
def test_a_captured_training_that_was_stopped_and_goes_on_ends_as_if_left_alone(stop, masking):
    splits, config = bright_rows(136, validation=36, device="cuda"), replace(STEPS, epochs=4)
    whole = Run(splits, config, masking=masking)

    made: list[pruning.Masking] = []

    def make(on_step=lambda: None) -> Training:
        model = network().to("cuda")
        made.append(masking(model, splits, "cuda"))
        return Training(model, splits, config, 0, masking=made[-1], device="cuda", on_step=on_step)

    counted = count(1)

    def stopping() -> None:
        if next(counted) == stop:
            raise Stopped

    first = make(stopping)
    with pytest.raises(Stopped):
        list(first.run())
    saved = checkpoint.load(checkpoint.dump({"training": first.state(), "masking": made[0].state()}))
    torch.cuda.manual_seed(99)
    second = make()
    made[1].load(saved["masking"])
    second.load(saved["training"])
    results = [replace(each, images_per_second=0, epoch_seconds=0) for each in second.run()]
    assert second.step == "graph"
    assert results == whole.results[-len(results) :]
    for name, tensor in on_cpu(second.state()["model"]).items():
        assert torch.equal(tensor, whole.state[name]), name


def test_a_stop_is_answered_within_a_second():
    splits, config = noise(64 * 256), replace(STEPS, epochs=1, batch_size=256, precision="bf16")
    with seeding.seeded(0, "weights"):
        model = models.build("resnet50", classes=10, channels=3, size=32)
    began, steps = 0.0, count(1)

    def stopping() -> None:
        nonlocal began
        if next(steps) == 40:
            began = time.perf_counter()
            raise Stopped

    training = Training(model, splits, config, 0, device="cuda", on_step=stopping)
    with pytest.raises(Stopped):
        list(training.run())
    checkpoint.dump(training.state())
    assert training.step == "graph"
    assert time.perf_counter() - began < 1


# --- what cannot be captured


class Looks(nn.Module):
    """Lets the values decide."""

    def forward(self, images: Tensor) -> Tensor:
        return images * 2 if images.mean() > 0 else images


class Waits(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        torch.cuda.current_stream().synchronize()
        return images


class WaitsUnseen(nn.Module):
    """Waits in a way that only a capture notices."""

    def forward(self, images: Tensor) -> Tensor:
        event = torch.cuda.Event()
        event.record()
        event.synchronize()
        return images


class DrawsOnCPU(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return images * float(torch.rand(()))


class Keeps(nn.Module):
    """Has a moving average that is no buffer."""

    mean: Tensor | float = 0.0

    def forward(self, images: Tensor) -> Tensor:
        self.mean = 0.9 * self.mean + 0.1 * images.detach().mean()
        return images - self.mean


@pytest.mark.parametrize("kind", [Looks, Waits, WaitsUnseen, Draws, DrawsOnCPU, Counts, Keeps])
def test_a_network_that_cannot_be_captured_trains_eagerly_after_one_warning(kind):
    splits = bright_rows(200, device="cuda")

    def make(graphs: str) -> Run:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            run = Run(splits, STEPS, network(kind()), graphs=graphs)
        told = [str(each.message) for each in caught if issubclass(each.category, RuntimeWarning)]
        print(told)
        assert len(told) == (graphs == "auto")
        return run

    run = assert_captured_is_eager(make, "eager")
    assert run.training.eager_reason.startswith("the network cannot be captured: ")


class TooLarge(nn.Module):
    """Asks for more memory than there is, but only while it is captured, and not of half a batch."""

    def forward(self, images: Tensor) -> Tensor:
        if torch.cuda.is_current_stream_capturing() and len(images) > 8:
            torch.empty(2**46, device="cuda")
        return images


def test_out_of_memory_in_a_capture_can_be_answered_with_micro_batches():
    splits, model = bright_rows(200, device="cuda"), network(TooLarge())
    with pytest.raises(torch.OutOfMemoryError):
        Run(splits, STEPS, model)
    torch.cuda.empty_cache()
    smaller = replace(STEPS, accumulate=2)
    assert_captured_is_eager(lambda graphs: Run(splits, smaller, network(TooLarge()), graphs=graphs))


def test_the_default_stream_goes_on_after_a_training():
    model = network().to("cuda")
    Run(bright_rows(200, device="cuda"), STEPS, model)
    assert torch.cuda.current_stream() == torch.cuda.default_stream()
    assert all(parameter.isfinite().all() for parameter in model.parameters())
