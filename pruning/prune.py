"""The one loop: score -> how many -> mask -> score … Every method is a preset of it."""

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from typing import Any

import torch
from torch import nn

from pruning import registry, selector
from pruning.arguments import Batches, Loss, check_method, check_sparsity, check_trainable, supply
from pruning.masks import Scores, kept_count, prunable
from pruning.method import Method
from pruning.modes import scoring_mode
from pruning.problem import Problem
from pruning.pruned import Pruned
from pruning.remarks import PruningWarning
from pruning.schedules import kept_counts, truncated_counts
from pruning.scores import checked
from pruning.share import prunable_share, share_remark
from pruning.writes import Writes, refused

SEED = 200609081  # not one that people seed their weights with: random scores are to be independent of them


def prune(
    model: nn.Module,
    method: str,
    sparsity: float,
    batches: Batches = (),
    *,
    loss: str | Loss = "cross_entropy",
    train_mode: bool = True,
    invert: bool = False,
    generator: torch.Generator | None = None,
    input_shape: Sequence[int] | None = None,
    precision: str = "fp32",
    exclude: Sequence[str] = (),
    graphs: str = "auto",
    on_round: Callable[[int], None] = lambda step: None,
    on_remark: Callable[[str], None] | None = None,
    **options: Any,
) -> Pruned:
    """Find the masks that ``method`` leaves of ``model`` at ``sparsity``. The model is not changed.

    Args:
        model: any module; what :func:`pruning.masks.prunable` finds in it is pruned.
        method: a registered name, see :func:`pruning.registry.names`.
        sparsity: fraction of all prunable weights to remove, in [0, 1). The kept count is exact.
        batches: a list of (inputs, labels) pairs on the model's device, the same in every round; a DataLoader,
            of which every round takes the next batch (as many as the method needs), from the start again when it ends;
            or a function of the round (from 1 on) that returns a list. Methods without data need none.
        loss: "cross_entropy", "logit" (the FORCE authors' code), or any mean loss of (logits, labels).
        train_mode: score with batch statistics (the FORCE paper) or with running ones (SynFlow's code).
        invert: keep the lowest scores instead, in every round: a control (Frankle et al. 2021).
        generator: CPU generator of whatever the method draws; freshly seeded with :data:`SEED` unless given.
        input_shape: (channels, height, width) of one input, where there are no batches to read it off.
        precision: "fp32", or "bf16": forward and backward passes of scoring under autocast, where they are faster and
            rounded to 8 bits; weights, gradients and scores stay as they are. SynFlow's are in float64 either way.
        exclude: names of layers that stay dense, or patterns of them such as ``layer4.*``: see
            :func:`pruning.exclusion.without`. They have no mask, and sparsity is a fraction of the weights that have.
        graphs: on a GPU "auto" captures the passes of many rounds as CUDA graphs (:mod:`pruning.passes`); "off" none.
        on_round: called before each round with its number, from 1 on; what it raises ends the pruning.
        on_remark: called with each of :attr:`Pruned.remarks`, instead of a :class:`PruningWarning` of them.
        options: the method's own, such as ``rounds=60`` or ``floor=0.1``; :func:`pruning.method_options` lists them.

    Raises:
        ValueError: bad arguments, scores that are missing or no numbers, or a method that wrote to the network.

    Warns:
        PruningWarning: weights are kept by index among equal scores, or SynFlow's scores are rounding.
    """
    check_method(method)
    preset = registry.find(method)
    settings = preset.resolve(options)
    check_sparsity(sparsity)
    if not preset.removes and sparsity != 0:
        raise ValueError(f"sparsity: method {method} removes nothing, its sparsity is 0, not {sparsity}")
    scope, floor = settings.get("scope", preset.scope), settings.get("floor", 0.0)
    own = {name: settings.get(name, default) for name, default in preset.score_options.items()}
    generator = torch.Generator().manual_seed(SEED) if generator is None else generator
    problem = Problem(model, loss, generator, input_shape, precision, prunable(model, exclude), graphs)
    check_trainable(model)
    total = sum(weight.numel() for weight in problem.dense.values())
    counts = _counts(preset, settings, total, sparsity)
    draw = supply(batches, problem.device, preset.batches(preset.options | settings))
    start, problem.rounds = time.perf_counter(), len(counts)
    select = selector.selector(problem, selector.Plan(preset.name, preset.recover, scope, floor))
    with (
        closing(problem.replays),
        refused(model, preset.name),
        scoring_mode(model, train_mode, generator.initial_seed()),
        torch.enable_grad(),
    ):
        for step, kept in enumerate(counts, start=1) if preset.removes else ():
            on_round(step)
            problem.round, problem.kept = step, kept
            problem.batches = ()  # the last round's go before the next ones come
            problem.batches = draw(step) if preset.data or input_shape is None else ()
            problem.mask(select.masks(problem, _scores(problem, preset, own, invert)))
        rounds = tuple(select.rounds())
    pruned = Pruned(
        {name: mask.clone() for name, mask in problem.masks.items()}
        if problem.device.type == "cuda"
        else problem.masks,
        rounds,
        time.perf_counter() - start,
        problem.passes,
        problem.work,
        problem.unconserved,
        prunable_share(model, exclude),
        problem.replays.reason,
        share_remark(model),
    )
    for sentence in pruned.remarks:
        if on_remark is not None:
            on_remark(sentence)
        else:
            warnings.warn(f"method {preset.name}: {sentence}", PruningWarning, stacklevel=2)
    return pruned


def _counts(preset: Method, settings: Mapping[str, Any], total: int, sparsity: float) -> list[int]:
    """How many of ``total`` weights are kept after each round."""
    rounds = settings["rounds"] if preset.rounds else 1  # a masking has rounds of its own, after trainings
    plan = (total, kept_count(total, sparsity), rounds, settings.get("schedule", "linear"))
    return truncated_counts(*plan, sparsity) if settings.get("truncate") else kept_counts(*plan)


def _scores(problem: Problem, preset: Method, options: Mapping[str, Any], invert: bool) -> Scores:
    """The checked scores of one round; higher means keep.

    Raises:
        ValueError: scores are missing or no numbers, or the method wrote to the network.
    """
    problem.objective = None
    writes = Writes(problem)
    scores = checked(preset.name, preset.score(problem, **options), problem.dense)
    writes.check(preset.name)
    return {name: -score for name, score in scores.items()} if invert else scores
