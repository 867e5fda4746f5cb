"""Problem: what a method sees of the network it scores."""

import weakref
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from pruning.arguments import Batch, Loss, check_generator, check_input_shape, check_weights, loss_function
from pruning.aside import Aside
from pruning.compaction.live_part import LivePart, LiveParts
from pruning.draws import gpus_of, seed_draws
from pruning.functional import call
from pruning.masks import Masks, full, prunable
from pruning.outputs import logits_of
from pruning.passes import Cost, Network, Passes


def logit_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """−mean(z_y): the saliency loss of the FORCE authors' code, which feeds raw logits to ``nll_loss``."""
    return nn.functional.nll_loss(logits, labels)


LOSSES: dict[str, Loss] = {"cross_entropy": nn.functional.cross_entropy, "logit": logit_loss}
PRECISIONS = ("fp32", "bf16")


class Problem:
    """A network at θ⊙c, with what its weights are scored on. The model itself is never written to.

    Every forward pass runs functionally on ``parameters`` and on copies of the buffers, so the gradient of the
    loss with respect to ``parameters`` reaches masked weights too: no hooks, no patched layers.

    Attributes:
        model: the network; its flags are those of the scoring mode while a method runs.
        dense: θ, the weights that are pruned, before round one, by parameter name: all prunable ones, or those of
            the argument ``names``.
        masks: c.
        round: which one this is, from 1 on.
        rounds: how many there are.
        kept: how many weights are to be left after it.
        batches: this round's (inputs, labels); empty for methods without data.
        loss: mean loss of logits and labels; a name of :data:`LOSSES` stands for one.
        generator: CPU generator for whatever a method draws.
        precision: "fp32", or "bf16" for forward and backward passes under autocast; weights stay what they are. In bf16
            on a CPU :meth:`gradients` leaves dead channels out; fp32 keeps the order of the authors' sums, on which
            masks of iterated methods depend. On a GPU a smaller network is another one to capture and hardly faster to
            score: looking for it took a ResNet-50 on an H100 from 50 to 200 ms a round.
        passes: forward and backward passes so far, each over one batch.
        work: the same in forward passes of one input: a backward pass counts as two (Evci et al. 2020, appendix H).
        replays: runs passes that come in every round, on a GPU by replays: see :mod:`pruning.passes`.
        objective: the FORCE objective Σ c_i |θ_i g_i(θ⊙c)| at the last call of :meth:`gradients`, or None. On a GPU a
            tensor: reading its value would make the program wait for the GPU.
        unconserved: layers whose scores break the conservation law that the method rests on; None: not measured.
    """

    def __init__(
        self,
        model: nn.Module,
        loss: str | Loss,
        generator: torch.Generator,
        input_shape: Sequence[int] | None,
        precision: str = "fp32",
        names: Collection[str] | None = None,
        graphs: str = "auto",
    ):
        if precision not in PRECISIONS:
            raise ValueError(f"precision: must be {' or '.join(PRECISIONS)}, not {precision!r}")
        self.model = model
        self.precision = precision
        chosen = prunable(model)
        self.dense = {name: weight.detach() for name, weight in chosen.items() if names is None or name in names}
        if not self.dense:
            raise ValueError("the model has nothing to prune: no convolution and no linear layer")
        check_weights(self.dense)
        check_generator(generator)
        check_input_shape(input_shape)
        self.loss = loss_function(loss, LOSSES)
        self.generator = generator
        self.batches: Sequence[Batch] = ()
        self.round, self.rounds = 0, 1
        self.kept = sum(weight.numel() for weight in self.dense.values())
        self._objective: float | Tensor | None = None
        self._aside = Aside(self.device)
        self.unconserved: tuple[str, ...] | None = None
        self._inputs = 0
        self._gpus = gpus_of(model)
        self._input_shape = input_shape
        self._live = LiveParts(model) if precision == "bf16" and self.device.type == "cpu" else None
        self._buffers = {name: buffer.detach().clone() for name, buffer in model.named_buffers()}
        self._cost = Cost()
        weak = weakref.ref(self)  # a cycle would keep all tensors until the next collection

        def make_static() -> None:
            if (problem := weak()) is not None:
                problem._make_static()

        self.replays = Passes(Network(model, self.device, self._buffers, self._cost, make_static), graphs)
        self._static: dict[str, Tensor] = {}  # what parameters are written into, once a pass is captured
        self._places: dict[str, Tensor] = {}
        self.mask(full(self.dense))

    def mask(self, masks: Masks) -> None:
        """Move to θ⊙masks."""
        self.masks = masks
        self._parameters: dict[str, Tensor] | None = None  # made when asked for: after the last round nobody does
        self._given = False  # whether a method has put others in their place

    @property
    def parameters(self) -> dict[str, Tensor]:
        """θ⊙c, what the forward pass uses now (zero where masked); they require gradients."""
        if self._parameters is None:
            with torch.no_grad():
                masked = {
                    name: torch.mul(weight, self.masks[name], out=self._places.get(name))
                    for name, weight in self.dense.items()
                }
            self._parameters = self._static or {name: weight.requires_grad_() for name, weight in masked.items()}
        return self._parameters

    @parameters.setter
    def parameters(self, values: dict[str, Tensor]) -> None:
        self._parameters, self._given = values, True

    def _make_static(self) -> None:
        """Let :attr:`parameters` be the same tensors in every round from now on, with the values of the round."""
        parameters = self.parameters
        if not self._static:
            self._static = parameters
            self._places = {name: parameter.detach() for name, parameter in parameters.items()}

    @property
    def objective(self) -> float | Tensor | None:
        """See the class."""
        self._aside.join()
        return self._objective

    @objective.setter
    def objective(self, value: float | Tensor | None) -> None:
        self._objective = value

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(iter(self.dense.values())).device

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one input, without the batch: as given, or that of the first batch."""
        if self._input_shape is not None:
            return tuple(self._input_shape)
        if not self.batches:
            raise ValueError("this method needs the shape of an input: pass input_shape=(channels, height, width)")
        return tuple(self.batches[0][0].shape[1:])

    def logits(self, inputs: Tensor, parameters: Mapping[str, Tensor] | None = None) -> Tensor:
        """Output of the network at θ⊙c, or at other values of its parameters.

        Batch statistics go to copies of the buffers.

        Args:
            inputs: [B, *input_shape].
            parameters: values by name, over those of the model; default :attr:`parameters`.
        """
        self._inputs = len(inputs)
        self.count(forward=1)
        weights = self.parameters if parameters is None else parameters
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.precision == "bf16"):
            output = logits_of(self._answer(inputs, {**weights, **self._buffers}))
        return output.float() if output.dtype == torch.bfloat16 else output

    def _answer(self, inputs: Tensor, tensors: Mapping[str, Tensor]) -> Any:
        try:
            return call(self.model, tensors, inputs)
        except ValueError as error:
            if "more than 1 value per channel" not in str(error):
                raise
            raise ValueError(
                "batches: one input is too few for BatchNorm to take statistics of: give more a batch, or score with"
                " running ones (train_mode=False)"
            ) from error

    @property
    def passes(self) -> int:
        """See the class."""
        return self._cost.passes

    @property
    def work(self) -> int:
        """See the class."""
        return self._cost.work

    def count(self, forward: int = 0, backward: int = 0, inputs: int | None = None) -> None:
        """Note passes over a batch of ``inputs`` (default: as many as the last forward pass had)."""
        self._cost.passes += forward + backward
        self._cost.work += (forward + 2 * backward) * (self._inputs if inputs is None else inputs)

    def losses(self, temperature: float = 1.0) -> Iterator[Tensor]:
        """The mean loss of each batch at θ⊙c, of the logits divided by ``temperature``.

        Dropout draws the same for the same batch of a round however often it is asked for: passes that belong
        together see one function.
        """
        for number, (inputs, labels) in enumerate(self._data()):
            self._seed_batch(number)
            yield self.loss(self.logits(inputs) / temperature, labels)

    def _data(self) -> Sequence[Batch]:
        if not self.batches:
            raise ValueError("this method scores weights on data: pass batches=[(inputs, labels), …]")
        return self.batches

    def _seed_batch(self, number: int) -> None:
        self.seed(7919 * self.round + number + 1)

    def seed(self, number: int) -> None:
        """Seed the global generators, from which dropout draws, by a number and the seed of :attr:`generator`."""
        seed_draws((self.generator.initial_seed() + number) % 2**63, self._gpus)

    def gradients(self, temperature: float = 1.0, *, lent: bool = False) -> dict[str, Tensor]:
        """g(θ⊙c): gradient of the mean loss over ``batches`` for every prunable weight, masked ones included.

        Args:
            temperature: divides the logits.
            lent: whether the next call may overwrite these gradients: one copy less on a GPU.
        """
        if self._live and self.batches and not self._given and (part := self._live.at(self.masks, self.input_shape)):
            return self._gradients_of(part, temperature)
        self._aside.join()  # it may read gradients that the next pass overwrites
        found: dict[str, Tensor] = {}
        for number, batch in enumerate(self._data()):
            gradients = self._gradients_on(batch, number, temperature, lent and len(self.batches) == 1)
            # not in place: autograd may hand out one tensor for two weights
            found = {name: found[name] + g for name, g in gradients.items()} if found else gradients
        if len(self.batches) > 1:
            found = {name: gradient / len(self.batches) for name, gradient in found.items()}
        if temperature == 1.0:
            masked = {name: weight.detach() for name, weight in self.parameters.items()}
            reads = (*masked.values(), *found.values())
            self.objective = self._aside.run(lambda: force_objective(masked, found), reads)
        return found

    def _gradients_on(self, batch: Batch, number: int, temperature: float, lent: bool) -> dict[str, Tensor]:
        """Those of one batch, of this number in its round."""

        def gradients(inputs: Tensor, labels: Tensor) -> list[Tensor]:
            return list(self.gradient(self.loss(self.logits(inputs) / temperature, labels)).values())

        self._seed_batch(number)
        if self._given:  # by a method, for this round
            found: Sequence[Tensor] = gradients(*batch)
        else:
            left = (self.rounds - max(1, self.round) + 1) * len(self.batches) - number
            found = self.replays.run(f"gradients at temperature {temperature}", gradients, batch, left, lent)
        return dict(zip(self.parameters, found, strict=True))

    def _gradients_of(self, part: LivePart, temperature: float) -> dict[str, Tensor]:
        """The same, by passes over the part of the network that lives."""
        inner = Problem(part.model, self.loss, self.generator, self._input_shape, self.precision, part.masks)
        inner._live, inner.round, inner.batches = None, self.round, self.batches
        inner.mask(part.masks)
        found = part.widened(inner.gradients(temperature), self.dense)
        self._cost.passes += inner.passes
        self._cost.work += inner.work
        self.objective = inner.objective if temperature == 1.0 else self.objective
        return found

    def gradient(self, value: Tensor, create_graph: bool = False) -> dict[str, Tensor]:
        """∂value/∂(θ⊙c) by parameter name; zero for weights that ``value`` does not depend on."""
        self.count(backward=1)
        found = torch.autograd.grad(
            value, list(self.parameters.values()), create_graph=create_graph, allow_unused=True, materialize_grads=True
        )
        return dict(zip(self.parameters, found, strict=True))


def force_objective(masked: Mapping[str, Tensor], gradients: Mapping[str, Tensor]) -> float | Tensor:
    """Σ_{i: c_i = 1} |θ_i g_i(θ⊙c)|: what FORCE maximises (de Jorge et al. 2021, eq. 4).

    Args:
        masked: θ⊙c.
        gradients: g(θ⊙c).

    Returns:
        On a GPU a tensor.
    """
    if next(iter(gradients.values())).device.type != "cpu":
        products = torch._foreach_mul([masked[name].detach() for name in gradients], list(gradients.values()))
        return torch.stack(torch._foreach_norm(products, 1)).sum(dtype=torch.float64)
    return float(torch.stack([(masked[name].detach() * g).abs().sum().double() for name, g in gradients.items()]).sum())
