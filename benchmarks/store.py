"""The store: trials read for `status` and for a report, as single files and folded, beside a JSON file a trial."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path

import torch

from benchmarks.measure import Row, Setup, gain, in_turns
from pruning.masks import digest
from pruning.packing import pack
from sweep.config.config import sweep_from
from sweep.config.grid import expand, trial_id
from sweep.config.trial_config import TrialConfig
from sweep.config.yaml_tree import plain
from sweep.records import COMPLETED, EpochRecord, MaskRecord, Outcome, TrialRecord
from sweep.store import Store
from sweep.store.folding import fold
from sweep.trial.record_fields import config_fields

TRIALS, EPOCHS, LAYERS = 1000, 30, 20
MANY = 20 * TRIALS
GRID = {
    "architecture": "vgg_digits",
    "method": ["random", "magnitude", "snip", "grasp", "synflow", "iter_snip", "force", "erk", "phew", "ntk_sap"],
    "sparsity": [0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9995],
    "seed": list(range(MANY // 100)),
}


def run(setup: Setup) -> Iterator[Row]:
    """All rows; nothing here depends on the device."""
    if setup.device != "cpu":
        return
    trials = expand(sweep_from(plain({"data": "digits", "grid": GRID}, "benchmarks"), default_name="many"))
    with tempfile.TemporaryDirectory() as folder:
        store, texts = Store(Path(folder) / "store"), Path(folder) / "plain"
        write(store, trials[:TRIALS])
        yield from beside_json(store, texts, trials[:TRIALS])
        for start in range(TRIALS, MANY, TRIALS):
            write(store, trials[start : start + TRIALS])
            if start + TRIALS < MANY:  # the last thousand have come since
                fold(store)
        drawn = ["report", store.uri, "--out", f"{folder}/report"]
        for command in (["status", "--store", store.uri], drawn, [*drawn, "--html"]):
            yield seconds_of(command)


def beside_json(store: Store, texts: Path, trials: Sequence[TrialConfig]) -> Iterator[Row]:
    """A thousand trials, as they were written and folded."""
    texts.mkdir()
    for trial in trials:
        made = outcome(trial)
        values = asdict(made.trial) | {"epochs": [asdict(epoch) for epoch in made.epochs]}
        (texts / f"{made.trial.trial_id}.json").write_text(json.dumps(values), encoding="utf-8")

    def read_json() -> list[dict]:
        return [json.loads(file.read_text(encoding="utf-8")) for file in texts.iterdir()]

    name = f"store, {TRIALS} trials of {EPOCHS} epochs"
    for how in ("a file each", "folded"):
        if how == "folded":
            fold(store)
        yield gain("store", f"{name}, {how}: statuses, against JSON files", store.statuses, read_json)
        yield gain(
            "store",
            f"{name}, {how}: all rows and epochs, against JSON files",
            lambda: (store.trials(), store.epochs()),
            read_json,
        )


def seconds_of(command: list[str]) -> Row:
    """Wall seconds of a command, its start and imports with it, on all of the trials."""

    def work() -> None:
        subprocess.run([Path(sys.executable).with_name("sweep"), *command], check=True, stdout=subprocess.DEVNULL)

    times = sorted(first for first, _ in in_turns(work, lambda: None, pairs=3, warm_up=0))
    page = " --html" if "--html" in command else ""
    name = f"sweep {command[0]}{page}, {MANY} trials, all but {TRIALS} folded"
    return Row("store", name, times[1], times[0], times[-1], unit="s")


def write(store: Store, trials: Sequence[TrialConfig]) -> None:
    """Store what these trials would leave behind."""
    for trial in trials:
        store.write(outcome(trial))


def outcome(trial: TrialConfig) -> Outcome:
    """What a trial leaves behind, but for weights that mean something."""
    name = trial_id(trial)
    accuracy = 0.98 - trial.sparsity**40 * (trial.seed % 10 + 1) / 20
    record = TrialRecord(
        **config_fields(trial), sweep="many", status=COMPLETED, test_accuracy=accuracy, classes=10, epochs=EPOCHS
    )
    epochs = tuple(EpochRecord(name, e, 1.0 / e, 0.5, 1.1 / e, 0.5, 0.1, 1e4, 2.0) for e in range(1, EPOCHS + 1))
    encoding, packed, hashed = _bits()
    masks = tuple(
        MaskRecord(name, f"layer{i}.weight", i, (16, 16), 256, 128, 0.5, 128, encoding, packed, hashed)
        for i in range(LAYERS)
    )
    return Outcome(record, epochs, masks)


@cache
def _bits() -> tuple[str, bytes, str]:
    bits = torch.arange(256).reshape(16, 16) % 2 == 0
    return *pack(bits), digest(bits)
