"""SynFlow (Tanaka, Kunin, Yamins & Ganguli, NeurIPS 2020): conserve synaptic flow, without data.

    R = Σ f_|θ⊙c|(ones),   s_i = |θ_i · ∂R/∂θ_i|        100 rounds, exponential schedule

Every parameter and buffer is replaced by its absolute value and BatchNorm runs in eval mode, so R is a sum over paths,
and the scores of every layer that all paths cross add up to R: no such layer can become empty before the others do.
This needs many rounds: with ``rounds: 1`` entire layers do become empty. (Layers inside a residual block may become
empty in any case, since the shortcut bypasses them.) Scores are computed in float64, as products over many layers
exceed float32's range.

The proof assumes layers whose outputs are proportional to positive inputs. Where a network normalises by statistics of
its input (InstanceNorm, GroupNorm, LayerNorm, BatchNorm without running statistics), ends in a softmax, or has gates or
activations that saturate, the terms of a layer's sum cancel or vanish compared with R, and its scores are mostly
rounding errors. Round one detects such layers: they are counted in the record as ``unconserved_layers``, with a
warning.

Authors' code: float32; a conversion to float64 is commented out. Eval mode for every method, not only for SynFlow:
``pruning.mode: eval`` for the others, which are scored on 10 × classes images drawn at random. A round's count is
rounded up, here to nearest, and ties with the threshold are all removed. One round by default, while the paper uses
100.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from pruning.functional import call
from pruning.masks import Scores
from pruning.modes import scoring_mode
from pruning.named_tensors import named_tensors
from pruning.outputs import logits_of
from pruning.problem import Problem
from pruning.registry import register

VANISHED = 1e-6  # share of R; in the shipped networks the smallest is 5e-4, of the 1×1 shortcuts of ResNet-50
UNCANCELLED = 0.99  # least sum of a layer's terms over the sum of their absolute values


@register(
    "synflow",
    paper="arXiv:2006.05467",
    rounds=100,
    data=False,
    display_name="SynFlow",
    colour="#b86898",
    marker="*",
    dash="long_short",
)
def synflow(problem: Problem) -> Scores:
    """Weight times its share of the synaptic flow; data-free, iterative."""
    others = named_tensors(problem.model)
    names = list(problem.dense)

    def passed() -> list[Tensor]:
        state = {**others, **problem.parameters}
        positive = {
            name: tensor.detach().abs().double() if tensor.is_floating_point() else tensor
            for name, tensor in state.items()
        }
        weights = [positive[name].requires_grad_() for name in names]
        ones = torch.ones(1, *problem.input_shape, dtype=torch.float64, device=problem.device)
        flow = logits_of(call(problem.model, positive, ones)).sum()
        problem.count(forward=1, backward=1, inputs=1)
        gradients = torch.autograd.grad(flow, weights, allow_unused=True, materialize_grads=True)
        return [flow.detach(), *((w * g).detach() for w, g in zip(weights, gradients, strict=True))]

    with scoring_mode(problem.model, train=False):
        flow, *values = problem.replays.run("synflow", passed, [], problem.rounds - problem.round + 1)
    terms = dict(zip(names, values, strict=True))
    if problem.round == 1:
        problem.unconserved = unconserved(terms, float(flow))
    return {name: term.abs() for name, term in terms.items()}


def unconserved(terms: Mapping[str, Tensor], flow: float) -> tuple[str, ...]:
    """The layers whose terms θ·∂R/∂θ cancel each other, or are negligible beside R or the sum of another layer.

    Args:
        terms: θ·∂R/∂θ of the dense network, by layer; none is negative in a network that conserves the flow.
        flow: R.
    """
    sums = {name: float(term.sum()) for name, term in terms.items()}
    sizes = {name: float(term.abs().sum()) for name, term in terms.items()}
    least = VANISHED * max(abs(flow), *sizes.values())
    return tuple(name for name, size in sizes.items() if not (size > least and sums[name] >= UNCANCELLED * size))
