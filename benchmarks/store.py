"""The store: a thousand trials read for `status` and for a report, beside a JSON file a trial read in a loop."""

import json
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from benchmarks.measure import Row, Setup, gain
from sweep.records import COMPLETED, EpochRecord, Outcome, TrialRecord
from sweep.store import Store

TRIALS, EPOCHS = 1000, 30


def run(setup: Setup) -> Iterator[Row]:
    """All rows; nothing here depends on the device."""
    if setup.device != "cpu":
        return
    with tempfile.TemporaryDirectory() as folder:
        store, plain = Store(Path(folder) / "store"), Path(folder) / "plain"
        plain.mkdir()
        for number in range(TRIALS):
            outcome = _outcome(f"{number:016x}")
            store.write(outcome)
            text = json.dumps(asdict(outcome.trial) | {"epochs": [asdict(e) for e in outcome.epochs]})
            (plain / f"{number}.json").write_text(text, encoding="utf-8")

        def read_all() -> list[dict]:
            return [json.loads(file.read_text(encoding="utf-8")) for file in plain.iterdir()]

        name = f"{TRIALS} trials of {EPOCHS} epochs"
        yield gain("store", f"{name}: statuses, against JSON files", store.statuses, read_all)
        yield gain(
            "store",
            f"{name}: all rows and epochs, against JSON files",
            lambda: (store.trials(), store.epochs()),
            read_all,
        )


def _outcome(name: str) -> Outcome:
    trial = TrialRecord(
        trial_id=name,
        sweep="benchmark",
        status=COMPLETED,
        data="cifar10",
        data_encoding="exact",
        architecture="vgg19",
        architecture_options="{}",
        architecture_label="vgg19",
        method="force",
        method_options="{}",
        method_label="force",
        sparsity=0.99,
        seed=int(name, 16),
        config="{}",
        test_accuracy=0.9,
        traceback=None,
    )
    epochs = tuple(EpochRecord(name, e, 1.0 / e, 0.5, 1.1 / e, 0.5, 0.1, 1e4, 2.0) for e in range(1, EPOCHS + 1))
    return Outcome(trial, epochs)
