"""Failures by kind: every sort that there is, what ``sweep failures`` says of them, and that its commands can be run."""

import errno
import json
import os
import shlex

import numpy as np
import pyarrow as pa
import pytest
import torch

from sweep.failures import KINDS, NODE_LOST, WORKER_LOST, group, kind, kind_of, may_pass
from sweep.records import FAILED
from sweep.store import Store
from sweep.trial.record_fields import error_fields, failed_outcome
from training.data import DataError

from ..conftest import make_outcome
from .small import own_networks, sweep, the_trial


def failed(number: int = 0, status: str = FAILED, **facts):
    """The outcome of a trial that did not complete."""
    unknown = {"error_type": None, "error_message": None, "test_accuracy": None}
    return make_outcome(f"{number:016x}", status, **unknown | facts)


def raised(error: Exception):
    """The record of a trial that ended with this error, as a trial makes it."""
    return failed(**error_fields(error)).trial


def numpys() -> Exception:
    try:
        np.zeros(2**50)
    except MemoryError as error:
        return error
    raise AssertionError


def torchs() -> Exception:
    try:
        torch.empty(2**60)
    except RuntimeError as error:
        return error
    raise AssertionError


ERRORS = {
    "out-of-memory": [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79 GiB"),
        RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED"),
        MemoryError(),
        pa.ArrowMemoryError("malloc of size 64 failed"),
        OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)),
        numpys,
        torchs,
    ],
    "data": [DataError("data/train.parquet: row 7: no image")],
    "no-room": [
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
        OSError(errno.EDQUOT, os.strerror(errno.EDQUOT)),
        RuntimeError("unable to write to file </torch_1_2>: No space left on device (28)"),
    ],
    "code": [
        RuntimeError("mat1 and mat2 shapes cannot be multiplied"),
        KeyError("quota"),
        OSError(errno.ENOENT, os.strerror(errno.ENOENT)),
        ZeroDivisionError("division by zero"),
    ],
}


@pytest.mark.parametrize(("name", "error"), [(name, error) for name, errors in ERRORS.items() for error in errors])
def test_every_error_is_of_a_kind(name, error):
    assert kind(raised(error if isinstance(error, Exception) else error())).name == name


def test_what_could_not_speak_for_itself_is_of_a_kind_by_its_type():
    assert kind_of(FAILED, WORKER_LOST, "its process died (SIGKILL): often memory").name == "process-lost"
    assert kind_of(FAILED, WORKER_LOST, "Task was killed due to the node running out of memory").name == "out-of-memory"
    assert kind_of(FAILED, NODE_LOST, "its node died, out of memory or not").name == "node-lost"
    assert kind_of("diverged", "Diverged", "the loss stopped being finite").name == "non-finite-loss"
    assert kind_of("interrupted", None, None).name == "interrupted"


def test_groups_have_all_that_did_not_complete_each_once_in_the_order_of_the_kinds():
    outcomes = [
        failed(1, error_type="KeyError", error_message="x"),
        failed(2, status="interrupted"),
        failed(3, error_type="MemoryError", error_message=""),
        failed(4, status="completed", test_accuracy=0.5),
        failed(5, error_type="KeyError", error_message="y"),
        failed(6, status="diverged", error_type="Diverged", error_message="the loss"),
    ]
    found = group(outcome.trial for outcome in outcomes)
    counts = [(each.kind.name, [int(trial.trial_id, 16) for trial in each.trials]) for each in found]
    assert counts == [("out-of-memory", [3]), ("non-finite-loss", [6]), ("code", [1, 5]), ("interrupted", [2])]
    assert found[2].example.error_message == "y"
    assert len({each.name for each in KINDS}) == len(KINDS)


def test_which_failures_are_tried_again():
    flaky, other = raised(RuntimeError("once")), raised(RuntimeError("twice"))
    assert may_pass(flaky, None) and may_pass(flaky, other)
    assert not may_pass(flaky, raised(RuntimeError("once")))
    assert may_pass(flaky, raised(OSError("once")))
    assert not may_pass(raised(DataError("row 7")), None)
    assert not may_pass(failed(status="interrupted").trial, None)


def test_no_secret_of_an_address_is_in_a_record():
    said = "cannot read s3://AKIA1:hunter2@bucket/x?secret_key=hunter3&region=eu"
    record = raised(OSError(said))
    assert record.error_message == "cannot read s3://***@bucket/x?secret_key=***&region=eu"
    assert not [word for word in ("hunter2", "hunter3", "AKIA1") if word in str(record)]
    lost = failed_outcome(the_trial("grid.method=random"), sweep="", error_message=said, traceback=said).trial
    assert (lost.error_message, lost.traceback) == (record.error_message, record.error_message)


# --- sweep failures


@pytest.fixture
def store(tmp_path):
    """A store of four that failed in three ways, in a folder that a shell would take for two and more."""
    found = Store(tmp_path / f"my {'long ' * 40}results")
    gib = 2**30
    where = {"host": "node7", "device": "NVIDIA H200", "peak_memory_bytes": 70 * gib, "device_memory_bytes": 80 * gib}
    full = {"error_type": "OutOfMemoryError", "error_message": "CUDA out of\n memory", "traceback": "File x"}
    for number in (1, 2):
        found.write(failed(number, **where, **full, attempts=number))
    found.write(failed(3, error_type="KeyError", error_message="no such [thing]"))
    found.write(failed(4, status="interrupted"))
    found.write(failed(5, status="completed", test_accuracy=0.5))
    return found


def test_failures_are_counted_with_an_example_where_it_ran_and_what_to_do(store):
    lines = sweep("failures", "--store", str(store.local)).out.splitlines()
    assert [line for line in lines if not line.startswith(" ")] == [
        "out-of-memory: 2 trials", "code: 1 trials", "interrupted: 1 trials",
    ]  # fmt: skip
    [full, code] = [next(line for line in lines if part in line) for part in ("OutOfMemoryError", "KeyError")]
    assert full.split()[2] in {f"{1:016x}", f"{2:016x}"}
    assert full.endswith("vgg_digits snip 50% s0: OutOfMemoryError: CUDA out of memory")
    assert "  on node7, NVIDIA H200, 70.0 GiB used of 80.0 GiB" in lines
    assert code.endswith("KeyError: no such [thing]")
    assert any(line.startswith("  fix: smaller training.batch_size") for line in lines)


def commands(store: Store) -> list[list[str]]:
    """All that ``sweep failures`` prints to be run."""
    lines = sweep("failures", "--store", str(store.local)).out.splitlines()
    return [shlex.split(line[line.index("sweep ") :])[1:] for line in lines if "sweep " in line]


def test_the_commands_that_are_printed_can_be_run_as_they_are(store):
    printed = commands(store)
    retries = [command for command in printed if command[0] == "retry"]
    assert [command[:3] for command in retries] == [
        ["retry", "--kind", name] for name in ("out-of-memory", "code", "interrupted")
    ]
    [shown] = [command for command in printed if command[0] != "retry"]
    assert "KeyError" in sweep(*shown).out


def test_failures_as_json(store):
    found = json.loads(sweep("failures", "--json", "--store", str(store.local)).out)
    assert [(each["kind"], each["count"], len(each["trials"])) for each in found] == [
        ("out-of-memory", 2, 2), ("code", 1, 1), ("interrupted", 1, 1),
    ]  # fmt: skip
    example = found[0]["example"]
    assert example["trial_id"] in found[0]["trials"]
    assert (example["error_type"], example["traceback"], example["host"]) == ("OutOfMemoryError", "File x", "node7")
    assert (example["device_memory_bytes"], found[0]["mend"]) == (80 * 2**30, KINDS[0].fix)


def test_a_store_without_failures_says_so_and_an_absent_one_is_refused(tmp_path):
    Store(tmp_path / "good").write(make_outcome())
    assert "nothing failed" in sweep("failures", "--store", str(tmp_path / "good")).out
    absent = sweep("failures", "--store", str(tmp_path / "absent"))
    assert (absent.code, "does not exist" in absent.err) == (2, True)


@pytest.fixture
def networks(tmp_path, monkeypatch):
    yield from own_networks(tmp_path, monkeypatch)


@pytest.mark.slow
def test_the_printed_retry_command_tries_them_again(tmp_path, networks, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.yaml").write_text(
        "{data: digits, grid: {architecture: 'small_networks:network', method: random, sparsity: 0.5, seed: [0, 1]},"
        " training: {epochs: 1}, store: my results, tracking: {enabled: false}}"
    )

    def trouble(images):
        raise ZeroDivisionError("that much is clear")

    networks.trouble = trouble
    launched = sweep("launch", "own.yaml", "--local")
    assert launched.code == 1
    [told] = [line for line in launched.out.splitlines() if "sweep failures" in line]
    assert shlex.split(told[told.index("sweep ") :])[1:4] == ["failures", "--store", "my results"]
    [again] = [command for command in commands(Store("my results")) if command[0] == "retry"]
    networks.trouble = lambda images: None
    retried = sweep(*again, "--local")
    assert (retried.code, "ran 2 trials. Now 2 completed." in retried.out) == (0, True)
    assert "nothing failed" in sweep("failures", "--store", "my results").out
