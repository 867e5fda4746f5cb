"""Stores of a thousand synthetic trials, each number drawn by a fixed seed. ``from .many import …``."""

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from sweep.records import FAILED, TrialRecord, table
from sweep.store import Store
from sweep.store.parquet import encode_fold

from .conftest import trial

METHODS = ("random", "erk", "magnitude", "snip", "grasp", "synflow", "iter_snip", "force", "ntk_sap", "phew")
SPARSITIES = (0.9, 0.95, 0.98, 0.99, 0.995)
EVIL = "<script>window.hacked = 1</script></script>\"'><img src=x onerror=window.hacked=1>{{ 7 * 7 }}"


def many(seeds: int, architectures: Sequence[str] = ("resnet20", "vgg19")) -> Iterator[TrialRecord]:
    """100 trials a seed: better methods are later in METHODS; some are at chance, some fail with an evil message."""
    draw = random.Random(0)
    for architecture in architectures:
        for rank, method in enumerate(METHODS):
            for sparsity in SPARSITIES:
                for seed in range(seeds):
                    accuracy = 0.93 + 0.004 * rank - sparsity**60 * 0.3 * (1.2 - 0.08 * rank) + draw.gauss(0, 0.004)
                    at_chance = method in ("random", "snip") and sparsity == 0.995 and seed % 3 == 0
                    record = trial(
                        method, sparsity, seed, 0.1 if at_chance else accuracy, architecture=architecture,
                        architecture_label=architecture, trial_id=f"{architecture}-{method}-{sparsity}-{seed}",
                        validation_accuracy=accuracy - 0.003, prunable=270_896, kept=round(270_896 * (1 - sparsity)),
                        seconds=100 + 20 * draw.random(), prune_seconds=2 + draw.random(), train_seconds=97.0,
                        training_flops=1e12 * (1.02 - sparsity), training_flops_share=1.02 - sparsity,
                        initial_weights_hash=str(seed), device="NVIDIA H100", host="node-1", git_commit="a" * 40,
                    )  # fmt: skip
                    yield record if (method, seed, sparsity) != ("phew", 1, 0.99) else failed(record)


def failed(record: TrialRecord) -> TrialRecord:
    """The trial with an error that a page must not run."""
    error = {"error_type": "OutOfMemoryError", "error_message": f"CUDA out of memory {EVIL}", "traceback": EVIL}
    return replace(record, status=FAILED, test_accuracy=None, **error)


def stored(store: Store, records: Iterable[TrialRecord]) -> Store:
    """The store, with these trials in one file: a thousand files take ten seconds to write."""
    store.files.put("trials/fold-00000000-000.parquet", encode_fold(table(TrialRecord, records)))
    return store
