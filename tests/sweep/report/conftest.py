"""Hand-made outcomes: a store with exactly the runs that a test names."""

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.text import Text

from sweep.records import COMPLETED, MaskRecord, Outcome, TrialRecord
from sweep.report import Panel, panels
from sweep.store import Store

MakeStore = Callable[..., Store]


@pytest.fixture(autouse=True)
def no_figures() -> None:
    """Figures are drawn here."""


def named(text: str) -> str:
    """The id of the trial that a test calls so."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def trial(method: str, sparsity: float, seed: int, accuracy: float | None, **facts: Any) -> TrialRecord:
    """A completed trial of ten classes on CIFAR-10; anything else by keyword, the recipe as ``training={…}``."""
    label = facts.pop("method_label", method)
    recipe = {"data": {"path": "here"}, "training": {"epochs": 5, **facts.pop("training", {})}}
    record = TrialRecord(
        trial_id=named(facts.pop("trial_id", f"{label}-{sparsity}-{seed}")),
        sweep="hand",
        status=COMPLETED,
        data="cifar10",
        data_encoding="exact",
        architecture="resnet20",
        architecture_options="{}",
        architecture_label="resnet20",
        method=method,
        method_options="{}",
        method_label=label,
        sparsity=sparsity,
        seed=seed,
        config=json.dumps(recipe),
        test_accuracy=accuracy,
        epochs=5,
        classes=10,
    )
    return replace(record, **facts)


def mask(
    trial_id: str, position: int, kept: int, effective: int | None, total: int = 1000, start: int | None = None
) -> MaskRecord:
    """The mask of the layer ``layer<position>``, without its bits; ``start``: kept as training started."""
    name, shape, density = f"layer{position}.weight", (total,), kept / total
    return MaskRecord(
        trial_id, name, position, shape, total, kept, density, effective, "bits", b"", "0", start_kept=start
    )


def artist(figure: Figure, gid: str) -> Any:
    """What was drawn under this name; None where nothing was."""
    found = figure.findobj(lambda a: a.get_gid() == gid)
    return found[0] if found else None


def places(figure: Figure, gid: str) -> list[tuple[float, float]]:
    """Where the points of a scatter are, sorted."""
    points = artist(figure, gid)
    assert isinstance(points, PathCollection)
    return sorted((round(float(x), 6), round(float(y), 6)) for x, y in np.asarray(points.get_offsets()))


def texts(figure: Figure) -> list[str]:
    """Everything that is written, each text on one line."""
    return [text.get_text().replace("\n", " ") for text in figure.findobj(Text)]


def panel(trials: Iterable[TrialRecord]) -> Panel:
    """The one panel that the trials make."""
    (only,) = panels(trials)
    return only


@pytest.fixture
def store(tmp_path: Path) -> MakeStore:
    """``store("a", trials, masks)``: a store in a folder of that name with these records."""

    def make(name: str, trials: Iterable[TrialRecord], masks: Iterable[MaskRecord] = ()) -> Store:
        made, masks = Store(tmp_path / name), list(masks)
        for record in trials:
            made.write(Outcome(record, masks=tuple(m for m in masks if m.trial_id == record.trial_id)))
        return made

    return make


@pytest.fixture
def sweep_store(store: MakeStore) -> Store:
    """Two seeds of dense, random, snip and force at 90 % and 99 %: snip collapses at 99 %, one seed of random too."""
    heights = {
        "random": [(0.9, 0.80, 0.82), (0.99, 0.60, 0.10)],
        "snip": [(0.9, 0.90, 0.91), (0.99, 0.10, 0.10)],
        "force": [(0.9, 0.92, 0.90), (0.99, 0.85, 0.87)],
    }
    trials = [trial("dense", 0.0, seed, accuracy) for seed, accuracy in enumerate((0.95, 0.96))]
    for method, rows in heights.items():
        trials += [trial(method, s, seed, accuracy) for s, *pair in rows for seed, accuracy in enumerate(pair)]
    masks = [mask(t.trial_id, i, kept, kept // 2) for t in trials for i, kept in enumerate((20, 10, 0))]
    return store("sweep", trials, masks)
