"""The bare training step: what ours is measured beside on a GPU, written out in plain PyTorch.

Rows of uint8 images on the device are cropped, flipped and normalised; forward, loss, backward, SGD, masks; loss and
correct answers are summed on the device. Called it is the eager step, captured it is one CUDA graph. Nothing of
``pruning`` or ``training`` is used here.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)
PADDING, WARM_UPS = 4, 3


class BareStep:
    """One training: its network, its optimizer and the static tensors of its step.

    Args:
        model: on the device, channels last.
        masks: by parameter name.
        pixels: uint8 [N, 3, H, W] on the device; labels: int64 [N] there.
    """

    def __init__(
        self,
        model: nn.Module,
        masks: dict[str, Tensor],
        pixels: Tensor,
        labels: Tensor,
        batch_size: int = 128,
        precision: str = "bf16",
    ) -> None:
        self.model, self.pixels, self.labels, self.batch_size = model.train(), pixels, labels, batch_size
        self.device, self.precision = pixels.device, precision
        self.optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4, fused=True)
        self.weights = [model.get_parameter(name).data for name in masks]
        self.kept = [mask.to(weight) for mask, weight in zip(masks.values(), self.weights, strict=True)]
        self.mean, self.std = (torch.tensor(values, device=self.device).view(1, 3, 1, 1) for values in (MEAN, STD))
        self.batch = torch.arange(batch_size, device=self.device)
        # a column each: row, top and left corner, flip
        self.draws = torch.zeros(batch_size, 4, dtype=torch.int64, device=self.device)
        self.loss = torch.zeros((), dtype=torch.float64, device=self.device)
        self.correct = torch.zeros((), dtype=torch.int64, device=self.device)
        self.graph: torch.cuda.CUDAGraph | None = None
        self.stream = torch.cuda.Stream() if self.device.type == "cuda" else None

    def step(self) -> None:
        """One step on the rows, corners and flips that :attr:`draws` holds."""
        rows, top, left, flips = self.draws.unbind(1)
        self.optimizer.zero_grad()
        labels = self.labels[rows]
        padded = F.pad(self.pixels[rows], [PADDING] * 4)
        height, width = self.pixels.shape[-2:]
        images = padded.unfold(2, height, 1).unfold(3, width, 1)[self.batch, :, top, left]
        images = torch.where(flips.bool()[:, None, None, None], images.flip(-1), images)
        images = images.float().div_(255).sub_(self.mean).div_(self.std).contiguous(memory_format=torch.channels_last)
        bf16 = self.precision == "bf16"
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=bf16, cache_enabled=False):
            logits = self.model(images)
        loss = F.cross_entropy(logits.float(), labels)
        loss.backward()
        self.optimizer.step()
        torch._foreach_mul_(self.weights, self.kept)
        self.loss += loss.detach()
        self.correct += (logits.detach().argmax(1) == labels).sum()

    def capture(self) -> "BareStep":
        """Warm the step up and capture it, on a stream of its own. On a CPU it stays as it is."""
        if self.stream is None:
            return self
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            for _ in range(WARM_UPS):
                self.step()
        torch.cuda.current_stream().wait_stream(self.stream)
        self.optimizer.zero_grad()
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph, stream=self.stream):
            self.step()
        torch.cuda.synchronize()
        return self

    def plan(self, steps: int) -> Tensor:
        """Rows, corners and flips of so many steps: int64 [steps, batch, 4] on the device."""
        order = torch.randperm(len(self.pixels)).repeat(-(-steps * self.batch_size // len(self.pixels)))
        rows = order[: steps * self.batch_size].view(steps, self.batch_size, 1)
        corners = torch.randint(2 * PADDING + 1, (steps, self.batch_size, 2))
        flips = torch.randint(2, (steps, self.batch_size, 1))
        return torch.cat([rows, corners, flips], 2).to(self.device)

    def run(self, steps: int) -> None:
        """So many steps: replayed where the step is captured, else called; without waiting for the device."""
        for draws in self.plan(steps):
            self.next(draws)

    def next(self, draws: Tensor) -> None:
        """One step with these draws, on the current stream."""
        self.draws.copy_(draws)
        if self.graph is None:
            self.step()
        else:
            self.graph.replay()
