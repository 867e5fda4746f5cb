"""Kept counts are exact, read back from Parquet: every method on every shipped small-image network.

Each pair at one sparsity, and each method and each network at every one of them.
"""

import functools
from pathlib import Path

import numpy as np
import pytest
import torch

import pruning
from pruning.diagnostics import MaskCounts
from pruning.masks import full
from pruning.packing import unpack
from pruning.problem import Batch
from sweep.records import Outcome
from sweep.store import Store
from sweep.trial.mask_records import mask_records
from training import data, models, seeding

SPARSITIES = (0.0, 0.5, 0.9, 0.99, 0.995, 0.999)
SLOW = {"ntk_sap": 0.99, "prospr": 0.99, "phew": 0.99}  # on small networks at every sparsity: test_conformance
METHODS = [name for name in pruning.names() if pruning.find(name).masking is None]  # the others: test_comparisons
NETWORKS = [name for name in models.names() if not name.startswith("imagenet_")]


def sparsity_of(architecture: str, method: str) -> float:
    """That of a pair. A row or column of pairs has them all."""
    if not pruning.find(method).removes:
        return 0.0
    place = NETWORKS.index(architecture) + METHODS.index(method)
    return SLOW.get(method, SPARSITIES[place % len(SPARSITIES)])


@functools.lru_cache(maxsize=2)  # pruning does not change it
def network(name: str) -> tuple[torch.nn.Module, list[Batch]]:
    """A shipped network at its initial weights, and two images of the kind it is for."""
    images = data.info("digits" if name.endswith("_digits") else "cifar10")
    size = images.image_size or 32
    with seeding.seeded(0, "weights"):
        model = models.build(name, classes=10, channels=images.channels, size=size)
    generator = torch.Generator().manual_seed(0)
    return model, [(torch.randn(2, images.channels, size, size, generator=generator), torch.tensor([0, 1]))]


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("architecture", NETWORKS)
def test_kept_count_is_total_minus_rounded_removed_count(architecture, method, tmp_path: Path, outcome):
    model, batches = network(architecture)
    total = sum(weight.numel() for weight in pruning.prunable(model).values())
    preset, store = pruning.find(method), Store(tmp_path)
    few = {"rounds": 2, "inputs": 2, "steps": 1}  # the count does not depend on how many
    options = {name: number for name, number in few.items() if name in preset.options}
    sparsity = sparsity_of(architecture, method)
    masks = pruning.prune(model, method, sparsity, batches, **options).masks
    layers = {n: MaskCounts(m.numel(), int(m.count_nonzero()), 0, 0, 0) for n, m in masks.items()}
    store.write(Outcome(outcome().trial, masks=tuple(mask_records("a" * 16, masks, layers, layers))))
    rows = store.masks().to_pylist()
    kept = sum(int(np.count_nonzero(unpack(r["encoding"], r["packed"], r["shape"]).numpy())) for r in rows)
    assert kept == total - round(sparsity * total) == sum(row["kept"] for row in rows)
    assert {row["tensor"] for row in rows} == set(full(pruning.prunable(model)))
