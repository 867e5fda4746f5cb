"""A store filled by hand, and the commands that show it in MLflow."""

import contextlib
import json
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import torch
from click.testing import CliRunner

from pruning.masks import digest
from pruning.packing import pack
from sweep.cli import main
from sweep.config.grid import trial_id
from sweep.config.trial_config import TrialConfig
from sweep.config.trial_identity import canonical
from sweep.records import EpochRecord, MaskRecord, Outcome, SweepRecord, TrialRecord
from sweep.store import Store
from sweep.tracking import sweep_export, sync
from sweep.trial.record_fields import config_fields

CONFIG = """
name: away
data: digits
grid:
  architecture: {name: vgg_digits, width: 8, depth: 4}
  method: [snip, random]
  sparsity: [0.5, 0.9, 0.99]
  seed: [0, 1]
training: {epochs: 2}
"""


def outcome(trial: TrialConfig, status: str = "completed", **facts: Any) -> Outcome:
    """What a trial of three epochs and one layer might leave behind."""
    name, bits = trial_id(trial), torch.arange(8).reshape(2, 4) % 2 == 0
    encoding, packed = pack(bits)
    record = TrialRecord(
        **config_fields(trial),
        **{
            "sweep": "away", "status": status, "epochs": 3, "started": datetime(2026, 1, 1, tzinfo=UTC), "seconds": 10.0,
            "prune_seconds": 4.0, "test_accuracy": 0.5 + int(name, 16) % 1000 / 2000, "kept": 100, "host": "h", **facts,
        },
    )  # fmt: skip
    epochs = tuple(EpochRecord(name, e, 1.0 / e, 0.1 * e, None, None, 0.1, 1000.0, 1.0) for e in (1, 2, 3))
    mask = MaskRecord(name, "0.weight", 0, (2, 4), 8, 4, 0.5, 4, encoding, packed, digest(bits), effective_density=0.5)
    return Outcome(record, epochs, (mask,))


def launched(name: str, trials: list[TrialConfig], **tracking: Any) -> SweepRecord:
    """What a launch of these trials leaves behind."""
    ids, config = tuple(map(trial_id, trials)), {"name": name, "tracking": {"enabled": True, "uri": None} | tracking}
    return SweepRecord(name, canonical(config), ids, datetime(2026, 1, 1, tzinfo=UTC))


def sweep(*arguments: str) -> SimpleNamespace:
    """The command in this process."""
    result = CliRunner().invoke(main, arguments)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return SimpleNamespace(returncode=result.exit_code, stdout=result.stdout, stderr=result.stderr)


@contextlib.contextmanager
def no_progress(what: str) -> Iterator[sweep_export.OnProgress]:
    yield lambda done, total: None


def synced(stores: list[Store], uri: str | None = None, name: str | None = None) -> list[sync.SyncResult]:
    return list(sync.sync(sync.sync_jobs(stores, uri, name), no_progress))


def tallies(*stores: Store, uri: str | None = None) -> list[tuple[int, int, int]]:
    """Exported, up to date already and busy, by sweep."""
    found = synced(list(stores), uri)
    assert not any(each.error for each in found)
    return [(each.exported, each.up_to_date, each.busy) for each in found]


LAUNCH = """
import json, sys, time
from sweep.cli import main
from sweep.tracking import Exporter

spent = dict.fromkeys(("started", "epoch", "finished", "add_artifacts", "close"), 0.0)

def watch(name):
    inner = getattr(Exporter, name)
    def outer(*arguments):
        begin = time.monotonic()
        try:
            return inner(*arguments)
        finally:
            spent[name] += time.monotonic() - begin
    setattr(Exporter, name, outer)

for name in spent:
    watch(name)
try:
    main(sys.argv[1:])
finally:
    print(json.dumps({"spent": spent, "ended": time.time()}), flush=True)
"""


def end(process: "subprocess.Popen[str]") -> SimpleNamespace:
    """What a launch said, how long the exporter kept it waiting, and how long the interpreter took to end."""
    stdout, stderr = process.communicate(timeout=250)
    now = time.time()
    *said, last = stdout.splitlines()
    values = json.loads(last)
    waited, to_exit = values["spent"], now - values["ended"]
    return SimpleNamespace(
        returncode=process.returncode, said="\n".join(said) + stderr, stderr=stderr, waited=waited, to_exit=to_exit
    )
