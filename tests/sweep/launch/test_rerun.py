"""``sweep trial rerun`` and ``trial run``: a stored trial from its stored config alone, and one of a sweep, here."""

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from pruning.packing import pack, unpack
from sweep.launch import rerun as single
from sweep.launch.rerun import Comparison
from sweep.store import Store
from sweep.trial.run import run_trial

from ...once import folder_made_once
from ..small import sweep

pytestmark = pytest.mark.slow  # launches, trainings or processes

CONFIG = """
name: own
data: {name: digits, validation: 100}
grid: {architecture: ARCHITECTURE, method: METHOD, sparsity: 0.99, seed: 0}
pruning: {batch_size: 37}
training: {epochs: 2, batch_size: 512}
store: results
tracking: {enabled: false}
"""
WIDE = "{name: vgg_digits, width: 16, depth: 4}"
TRIALS = {
    "compacted": (WIDE, "{name: synflow, rounds: 3}"),
    "not compacted": (WIDE, "{name: synflow, rounds: 3}", "compute.compact=false"),
    "a mask that moves": (WIDE, "{name: rigl, every: 2}"),
    "a ticket": ("{name: vgg_digits, width: 8, depth: 3}", "{name: imp, rounds: 1, rewind_epoch: 1}"),
}


def launched(folder: Path, architecture: str, method: str, *settings: str, code: int = 0) -> str:
    """Launch a sweep of one trial in a folder; its id."""
    (folder / "own.yaml").write_text(CONFIG.replace("ARCHITECTURE", architecture).replace("METHOD", method))
    parts = [part for each in (f"store={folder / 'results'}", *settings) for part in ("--set", each)]
    result = sweep("launch", str(folder / "own.yaml"), "--local", *parts)
    assert result.code == code, result.err
    [name] = Store(folder / "results").statuses()
    return name


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A store of one compacted trial, to be copied."""
    folder = folder_made_once(tmp_path_factory, "rerun", lambda folder: launched(folder, *TRIALS["compacted"]))
    return folder / "results"


@pytest.fixture
def store(made, tmp_path, monkeypatch):
    """A store with that trial in a folder without a config."""
    shutil.copytree(made, tmp_path / "results")
    monkeypatch.chdir(tmp_path)
    return Store("results")


def name_of(store: Store) -> str:
    [name] = store.statuses()
    return name


def rewrite(store: Store, folder: str, column: str, change, row: int = 0) -> None:
    """Change a value in a stored file, as anybody could who can write to it."""
    [path] = (store.local / folder).glob("*.parquet")
    table = pq.read_table(path)
    rows = table.to_pylist()
    rows[row][column] = change(rows[row])
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), path)


def files(store: Store) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in store.local.rglob("*") if path.is_file()}


# --- a stored trial again


@pytest.mark.parametrize("made_as", TRIALS.values(), ids=TRIALS)
def test_a_good_record_agrees_in_every_field_and_nothing_is_stored(made_as, tmp_path, monkeypatch):
    name = launched(tmp_path, *made_as)
    (tmp_path / "own.yaml").unlink()
    monkeypatch.chdir(tmp_path)
    store = Store("results")
    before = files(store)
    result = sweep("trial", "rerun", name[:6])
    assert result.code == 0, result.out
    assert "differs" not in result.out and "another" not in result.out
    [last] = [line for line in result.out.splitlines() if "fields agree" in line]
    agree, _, total, *_ = last.split()
    assert agree == total
    found = {each["field"]: each for each in json.loads(sweep("trial", "rerun", name, "--json").out)}
    assert len(found) == int(total) and all(each["agrees"] for each in found.values())
    tensors = [row["tensor"] for row in store.masks([name], ["tensor"]).to_pylist()]
    wanted = ["test_accuracy", "mask_hash", "final_weights_hash", "rounds", "trained_weights", "epoch 2: train_loss"]
    wanted += [f"mask of {tensor}: {what}" for tensor in tensors for what in ("bits", "hash", "kept", "start_kept")]
    assert [field for field in wanted if found[field]["stored"] is None] == []
    assert files(store) == before


TAMPERED = {
    "accuracy": ("trials", "test_accuracy", lambda row: row["test_accuracy"] + 1e-12, "test_accuracy"),
    "weights": ("trials", "final_weights_hash", lambda row: "0" * 64, "final_weights_hash"),
    "rounds": ("trials", "rounds", lambda row: [{**row["rounds"][0], "revived": 9}, *row["rounds"][1:]], "rounds"),
    "a metric taken away": ("trials", "test_loss", lambda row: None, "test_loss"),
    "config": ("trials", "config", lambda row: row["config"].replace('"seed":0', '"seed":1'), "trial_id"),
    "epoch": ("epochs", "train_loss", lambda row: row["train_loss"] * (1 + 1e-15), "epoch 1: train_loss"),
    "mask's name": ("masks", "hash", lambda row: "0" * 64, "mask of {tensor}: hash"),
    "mask's count": ("masks", "start_kept", lambda row: row["start_kept"] + 1, "mask of {tensor}: start_kept"),
}  # fmt: skip


@pytest.mark.parametrize("case", TAMPERED)
def test_whatever_was_tampered_with_is_named_with_exit_code_1(case, store):
    folder, column, change, field = TAMPERED[case]
    tensor = store.masks(columns=["tensor"])["tensor"][0].as_py()
    rewrite(store, folder, column, change)
    before = files(store)
    result = sweep("trial", "rerun", name_of(store), "--json")
    differing = [each["field"] for each in json.loads(result.out) if not each["agrees"]]
    assert (result.code, field.format(tensor=tensor) in differing) == (1, True), differing
    assert len(differing) == 1 or case == "config"
    assert files(store) == before


def test_bits_that_are_others_than_their_hash_says_are_named(store):
    def move(row):
        mask = unpack(row["encoding"], row["packed"], row["shape"])
        moved = torch.roll(mask.flatten(), 1).reshape(mask.shape)
        encoding, packed = pack(moved)
        assert encoding == row["encoding"]
        return packed

    rewrite(store, "masks", "packed", move)
    result = sweep("trial", "rerun", name_of(store))
    assert result.code == 1
    [differing] = [line for line in result.out.splitlines() if "differs" in line]
    assert differing.startswith("mask of ") and ": bits" in differing


def test_bits_that_cannot_be_read_are_named(store):
    rewrite(store, "masks", "packed", lambda row: b"")
    result = sweep("trial", "rerun", name_of(store))
    assert (result.code, "cannot be read" in result.out) == (1, True)


def test_an_epoch_that_is_missing_or_too_many_is_named(store):
    [path] = (store.local / "epochs").glob("*.parquet")
    table = pq.read_table(path)
    last = pa.Table.from_pylist([{**table.to_pylist()[1], "epoch": 3}], schema=table.schema)
    for number, rows in ((2, table.slice(0, 1)), (3, pa.concat_tables([table, last]))):
        pq.write_table(rows, path)
        result = sweep("trial", "rerun", name_of(store))
        assert (result.code, f"epoch {number}: train_loss" in result.out) == (1, True)


def test_what_an_earlier_version_did_not_store_is_no_difference(store):
    rewrite(store, "trials", "written", lambda row: None)
    rewrite(store, "trials", "final_gradient_norm", lambda row: None)
    found = json.loads(sweep("trial", "rerun", name_of(store), "--json").out)
    assert all(each["agrees"] for each in found)
    assert "final_gradient_norm" not in [each["field"] for each in found]


def test_a_trial_that_fails_again_in_the_same_way_agrees_and_yet_is_not_fine(tmp_path, networks, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def trouble(images):
        raise ZeroDivisionError("as always")

    networks.trouble = trouble
    name = launched(tmp_path, '"small_networks:network"', "random", "compute.max_failures=0", code=1)
    result = sweep("trial", "rerun", name)
    assert (result.code, "differs" in result.out) == (1, False)
    networks.trouble = lambda images: None
    assert sweep("trial", "rerun", name).code == 1  # it completes now: its status is another


def test_a_trial_that_ran_in_pieces_for_lack_of_memory_is_run_so_again(tmp_path, networks, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def trouble(images):
        if len(images) > 200:
            raise torch.OutOfMemoryError("CUDA out of memory")

    networks.trouble = trouble
    name = launched(tmp_path, "{name: 'small_networks:network', norm: true}", "random")
    networks.trouble = lambda images: None
    assert Store("results").trial(name).accumulate == 4
    result = sweep("trial", "rerun", name)
    assert result.code == 0, result.out


def test_ctrl_c_in_a_rerun_is_no_verdict(tmp_path, networks, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = launched(tmp_path, "'small_networks:network'", "random")

    def trouble(images):
        raise KeyboardInterrupt

    networks.trouble = trouble
    result = sweep("trial", "rerun", name)
    assert (result.code, "agree" in result.out) == (130, False)


def test_another_machine_or_version_is_told_of(store):
    rewrite(store, "trials", "device", lambda row: "NVIDIA H200")
    result = sweep("trial", "rerun", name_of(store))
    assert (result.code, "its device was NVIDIA H200" in result.out) == (0, True)


def test_numbers_agree_to_the_last_bit_or_not_at_all():
    nan = float("nan")
    assert Comparison("x", 0.1 + 0.2, 0.3).agrees is False
    assert Comparison("x", nan, nan).agrees and not Comparison("x", nan, 0.0).agrees
    assert not Comparison("x", None, 0.0).agrees and Comparison("x", None, None).agrees


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["rerun", "ffff"], "'ffff' is not in"),
        (["rerun", "NAME", "--device", "tpu"], "--device tpu: cpu, cuda or cuda:N"),
        (["run", "NAME", "--keep"], "--keep and --set need the trial's sweep"),
    ],
)
def test_what_cannot_be_done_is_refused(arguments, message, store):
    result = sweep("trial", *[name_of(store) if each == "NAME" else each for each in arguments])
    assert (result.code, message in result.err) == (2, True)


# --- a trial of a sweep


def test_a_trial_of_a_sweep_is_run_here_and_kept_if_asked_to(made, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(made.parent / "own.yaml", tmp_path)
    name = name_of(Store(made))
    run = ["trial", "run", name[:5], "--config", "own.yaml"]
    printed = sweep(*run)
    assert (printed.code, "epoch 2: loss" in printed.out, Path("results").exists()) == (0, True, False)
    assert sweep(*run, "--keep").code == 0
    kept, launched = Store("results").trial(name), Store(made).trial(name)
    assert kept.final_weights_hash == launched.final_weights_hash
    assert not list(Path("results").glob("leases/*"))
    refused = sweep(*run, "--keep")
    assert (refused.code, f"trial {name} is completed" in refused.err) == (2, True)


def test_a_trial_that_is_kept_goes_on_where_it_was_stopped(tmp_path, networks, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = launched(tmp_path, "'small_networks:network'", "random")
    shutil.rmtree("results")
    sizes = []

    def trouble(images):
        sizes.append(len(images))
        if len(sizes) == 6:
            raise KeyboardInterrupt

    networks.trouble = trouble
    given = []
    monkeypatch.setattr(single, "run_trial", lambda *what, **how: given.append(what[2]) or run_trial(*what, **how))
    run = ["trial", "run", name, "--config", "own.yaml", "--keep"]
    assert sweep(*run, "--set", "compute.checkpoint_minutes=7").code == 130
    assert given[0].compute.checkpoint_minutes == 7
    store = Store("results")
    assert (store.trial(name).status, store.checkpoints()) == ("interrupted", {name})
    assert sweep(*run).code == 0
    assert (store.trial(name).status, store.trial(name).attempts, store.checkpoints()) == ("completed", 2, set())
