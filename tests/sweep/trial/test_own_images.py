"""Your own images are part of a trial's identity: in folders and in Parquet, pinned, cached, moved and changed."""

import json
import os
import shutil
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from sweep.config import fingerprints
from sweep.config.config import read_sweep
from sweep.config.grid import expand, trial_id
from sweep.config.trial_config import trial_from
from sweep.errors import InputError
from sweep.records import TrialRecord, table
from sweep.store import Store
from training import data
from training.sources import folder as folders

from ..small import sweep

pytestmark = pytest.mark.slow  # launches, trainings or processes

ONE_TRIAL = """\
name: own
data: {name: %s, path: %s, classes: 2, image_size: 8, flip: false}
grid: {architecture: {name: vgg_digits, width: 8, depth: 3}, method: random, sparsity: 0.5, seed: 0}
pruning: {batch_size: 2}
training: {epochs: 1, batch_size: 4}
tracking: {enabled: false}
"""


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """No test touches the user's own cache, and files count as settled at once."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("training.fingerprint._SETTLED_SECONDS", 0.0)
    monkeypatch.chdir(tmp_path)


def image_folder(path: Path, brightness: int = 0, count: int = 4) -> Path:
    rng = np.random.default_rng(brightness)
    for part in ("train", "test"):
        for name in ("cat", "dog"):
            (path / part / name).mkdir(parents=True)
            for number in range(count):
                pixels = rng.integers(0, 99, (8, 8, 3)).astype(np.uint8) + brightness
                Image.fromarray(pixels.astype(np.uint8)).save(path / part / name / f"{number}.png")
    return path


def parquet(path: Path, **labels: list[int]) -> Path:
    """The images of an image folder in Parquet, with label columns of these names for eight rows each part."""
    images = image_folder(path / "images")
    for part in ("train", "test"):
        stored = [file.read_bytes() for file in sorted((images / part).glob("*/*.png"))]
        pq.write_table(pa.table({"image": stored, **labels}), path / f"{part}.parquet")
    return path


def config(path: str, name: str = "image_folder") -> str:
    Path("own.yaml").write_text(ONE_TRIAL % (name, path))
    return "own.yaml"


def ids(path: str, *settings: str, name: str = "image_folder") -> list[str]:
    return [trial_id(trial) for trial in expand(read_sweep(config(path, name), settings))]


def test_two_image_folders_are_two_trials_and_one_that_moved_is_the_same(tmp_path):
    image_folder(tmp_path / "cats"), image_folder(tmp_path / "xrays", 100)
    cats, xrays = ids("cats"), ids("xrays")
    assert cats != xrays
    (tmp_path / "cats").rename(tmp_path / "moved")
    assert ids("moved") == cats
    shutil.copytree("moved", "copied")
    assert ids("copied") == cats


def test_another_image_folder_is_launched_and_not_said_to_be_completed(tmp_path):
    image_folder(tmp_path / "cats"), image_folder(tmp_path / "xrays", 100)
    assert "ran 1 trials" in sweep("launch", config("cats"), "--local").out
    assert "nothing to run" in sweep("launch", config("cats"), "--local").out
    assert "ran 1 trials" in sweep("launch", config("cats"), "--local", "--set", "data.path=xrays").out
    rows = Store("results").trials().to_pylist()
    assert len({row["trial_id"] for row in rows}) == len({row["data_content"] for row in rows}) == 2


@pytest.mark.parametrize("change", ["in place, same size and time", "added", "removed", "relabelled"])
def test_images_that_change_are_other_trials(tmp_path, change):
    image_folder(tmp_path / "cats")
    before, file = ids("cats"), Path("cats/train/cat/0.png")
    if change.startswith("in place"):
        times, content = file.stat(), bytearray(file.read_bytes())
        content[-20] ^= 1
        file.write_bytes(content)
        os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    elif change == "added":
        shutil.copy(file, "cats/train/cat/9.png")
    elif change == "removed":
        file.unlink()
    else:
        file.rename("cats/train/dog/9.png")
    assert ids("cats") != before


def test_two_label_columns_of_one_parquet_set_are_two_trials(tmp_path):
    parquet(tmp_path / "set", label=[0, 0, 0, 0, 1, 1, 1, 1], wet=[0, 1] * 4, copy=[0, 0, 0, 0, 1, 1, 1, 1])
    by_label = ids("set", name="parquet")
    assert ids("set", "data.label_column=label", name="parquet") == by_label
    assert ids("set", "data.label_column=copy", name="parquet") == by_label  # what it selects counts, not its name
    assert ids("set", "data.label_column=wet", name="parquet") != by_label


def test_the_fingerprint_is_of_the_images_and_not_of_how_they_are_stored(tmp_path):
    path = parquet(tmp_path / "set", label=[0] * 4 + [1] * 4)
    whole = read_sweep(config("set", "parquet")).data.fingerprint
    assert read_sweep(config("set/images")).data.fingerprint == whole
    table = pq.read_table(path / "train.parquet")
    (path / "train.parquet").unlink()
    for number in (0, 1):
        pq.write_table(table.slice(4 * number, 4), path / f"train-0000{number}-of-00002.parquet")
    assert read_sweep(config("set", "parquet")).data.fingerprint == whole


def test_an_unchanged_set_is_not_read_again_and_a_damaged_cache_is_ignored(tmp_path, monkeypatch):
    image_folder(tmp_path / "cats")
    before = ids("cats")
    [cache] = tmp_path.glob("cache/**/*.json")

    def refuse(config):
        raise AssertionError("read again")

    with monkeypatch.context() as patch:
        patch.setattr(folders, "contents", refuse)
        assert ids("cats") == before
    for damage in (
        b"\xff\xfe",
        b"[]",
        b'{"a": 1}',
        json.dumps(dict.fromkeys(json.loads(cache.read_text()), "zz")).encode(),
    ):
        cache.write_bytes(damage)
        assert ids("cats") == before
    assert not list(cache.parent.glob("*.tmp"))


def test_the_cache_lies_beside_the_store_and_a_read_only_place_is_no_error(tmp_path, monkeypatch):
    image_folder(tmp_path / "cats")
    (tmp_path / "results").mkdir()
    ids("cats")
    assert (tmp_path / "results/fingerprints.json").exists()
    assert not (tmp_path / "cache").exists()
    monkeypatch.setattr("training.fingerprint.tempfile.mkstemp", lambda **_: (_ for _ in ()).throw(PermissionError()))
    (tmp_path / "results/fingerprints.json").unlink()
    ids("cats")


def test_a_file_changed_just_now_is_read_again(tmp_path, monkeypatch):
    monkeypatch.setattr("training.fingerprint._SETTLED_SECONDS", 60.0)
    image_folder(tmp_path / "cats")
    ids("cats")
    assert not list(tmp_path.glob("cache/**/*.json"))
    later = time.time() + 100
    monkeypatch.setattr("training.fingerprint.time.time", lambda: later)
    ids("cats")
    assert list(tmp_path.glob("cache/**/*.json"))


def test_without_the_images_a_plan_asks_for_the_fingerprint_and_with_it_shows_the_same_ids(tmp_path):
    image_folder(tmp_path / "cats")
    shown = json.loads(sweep("plan", config("cats"), "--json").out)
    pin = f'data.fingerprint="{shown["data"]["fingerprint"]}"'
    assert f'data.fingerprint: "{shown["data"]["fingerprint"]}"' in sweep("plan", config("cats")).out
    (tmp_path / "cats").rename(tmp_path / "elsewhere")
    refused = sweep("plan", config("cats"))
    assert (refused.code, refused.out, refused.err.count("\n")) == (2, "", 1)
    assert refused.err.startswith("error: data.path: no image_folder in 'cats'")
    assert "write data.fingerprint, which sweep plan shows" in refused.err
    pinned = json.loads(sweep("plan", config("cats"), "--json", "--set", pin).out)
    assert [row["trial_id"] for row in pinned["trials"]] == [row["trial_id"] for row in shown["trials"]]


def test_plan_and_launch_say_in_one_line_which_files_are_read_and_left_out(tmp_path):
    image_folder(tmp_path / "cats")
    Path("cats/train/cat/9.heic").write_bytes(b"x")
    said = "reads 8 images of train and 8 images of test; leaves out 1 .heic (train/cat/9.heic)"
    assert f"data: {said}\n" in sweep("plan", config("cats")).out
    assert json.loads(sweep("plan", config("cats"), "--json").out)["data"]["files"] == said
    assert sweep("launch", config("cats"), "--local").out.count(said) == 1


def test_a_missing_shard_is_one_line_of_the_plan_and_the_launch(tmp_path):
    parquet(tmp_path / "set", label=[0] * 4 + [1] * 4)
    Path("set/train.parquet").rename("set/train-00000-of-00002.parquet")
    for command in (["plan"], ["launch", "--local"]):
        result = sweep(*command, config("set", "parquet"))
        assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)
        assert result.err.startswith("error: own.yaml:2: data.path: 1 of 2 train files are missing: train-00001")


def test_a_launch_of_a_pinned_sweep_refuses_other_images(tmp_path):
    image_folder(tmp_path / "cats"), image_folder(tmp_path / "xrays", 100)
    pin = f'data.fingerprint="{read_sweep(config("cats")).data.fingerprint}"'
    other = read_sweep(config("xrays")).data.fingerprint
    for _ in ("to run", "completed"):
        result = sweep("launch", config("xrays"), "--local", "--set", pin)
        assert (result.code, result.err.count("\n")) == (2, 1)
        assert result.err.startswith("error: data.fingerprint: the images and labels in 'xrays' have ")
        assert other in result.err and pin[-17:-1] in result.err
        assert sweep("launch", config("cats"), "--local", "--set", pin).code == 0


def test_status_without_the_images_shows_the_trials_of_the_last_launch(tmp_path):
    image_folder(tmp_path / "cats")
    sweep("launch", config("cats"), "--local")
    (tmp_path / "cats").rename(tmp_path / "elsewhere")
    result = sweep("status", config("cats"), "--json")
    assert json.loads(result.out)["own"]["completed"] == 1
    assert result.err.startswith("no images in 'cats': these are the trials of the launch of ")
    assert sweep("status", config("cats"), "--set", "name=another").code == 2


def test_a_rerun_a_single_trial_and_a_retry_refuse_images_that_have_changed(tmp_path):
    image_folder(tmp_path / "cats")
    sweep("launch", config("cats"), "--local")
    [row] = Store("results").trials().to_pylist()
    assert json.loads(row["config"])["data"]["fingerprint"] == row["data_content"]
    assert sweep("trial", "rerun", row["trial_id"]).code == 0
    assert sweep("trial", "run", row["trial_id"], "--config", "own.yaml").code == 0
    Path("cats/test/dog/0.png").unlink()
    for command in (["trial", "rerun", row["trial_id"]], ["retry", row["trial_id"], "--force", "--local"]):
        result = sweep(*command)
        assert (result.code, result.err.count("\n")) == (2, 1), command
        assert result.err.startswith("error: data.fingerprint: the images and labels in "), command
        assert row["data_content"] in result.err


def test_a_worker_that_loads_other_images_says_so(tmp_path):
    image_folder(tmp_path / "cats")
    [trial] = expand(read_sweep(config("cats")))
    Path("cats/test/dog/0.png").unlink()
    with pytest.raises(data.DataError, match=rf"^fingerprint: .* not {trial.data.fingerprint};"):
        data.load(trial.data)


def test_trials_of_older_stores_keep_their_ids_and_can_be_tried_again(tmp_path):
    image_folder(tmp_path / "cats")
    [trial] = expand(read_sweep(config("cats")))
    older = replace(trial, data=replace(trial.data, fingerprint=None))
    assert "fingerprint" not in older.as_dict()["data"]  # as it was written then
    assert trial_id(trial_from(older.as_dict())) == trial_id(older) != trial_id(trial)
    assert data.load(older.data).content == trial.data.fingerprint


def test_a_fingerprint_that_is_none_and_one_for_a_named_set_are_refused(tmp_path):
    for settings, message in (
        (["data.fingerprint=cats"], "data.fingerprint: 16 hexadecimal digits"),
        (["data.fingerprint=1234567890123456"], "data.fingerprint: must be text"),
        (["data={name: digits, fingerprint: 0123456789abcdef}"], "data.fingerprint: digits is known by its name"),
    ):
        with pytest.raises(InputError, match=message):
            read_sweep(config("cats"), settings)


# --- sets with a name of their own


def tiny_imagenet(path: Path, brightness: int = 0) -> Path:
    (image_folder(path, brightness) / "test").rename(path / "val")
    return path


NAMED = ["data={name: tiny_imagenet, path: here, classes: 2, image_size: 8}"]


def test_a_named_sets_id_has_no_fingerprint_but_other_images_under_it_are_refused(tmp_path):
    tiny_imagenet(tmp_path / "here"), tiny_imagenet(tmp_path / "there", 100)
    settings = [part for setting in NAMED for part in ("--set", setting)]
    there = ["--set", "data.path=there"]
    assert ids("", *NAMED) == ids("", *NAMED, "data.path=there") == ids("", *NAMED, "data.path=nowhere")
    assert sweep("launch", config(""), "--local", *settings).code == 0
    for more in ([], ["--set", "grid.seed=0,1"]):  # nothing to run, and something
        result = sweep("launch", config(""), "--local", *settings, *there, *more)
        assert (result.code, result.err.count("\n")) == (2, 1)
        [row] = Store("results").trials().to_pylist()
        assert row["data_content"] in result.err
        assert data.fingerprint(read_sweep("own.yaml", [*NAMED, "data.path=there"]).data) in result.err
    assert "nothing to run" in sweep("launch", config(""), "--local", *settings, "--set", "data.path=nowhere").out
    assert "nothing to run" in sweep("launch", config(""), "--local", *settings).out


def test_what_lies_on_this_disk_changes_no_id_and_another_format_has_to_be_written(tmp_path):
    parquet(tmp_path / "set", label=[0] * 4 + [1] * 4)
    auto, written = ["data={name: cifar10, path: %s}"], ["data={name: cifar10, path: %s, format: parquet}"]
    here, away = ([setting % path for setting in auto] for path in ("set", "nowhere"))
    assert ids("", *here) == ids("", *away) != ids("", *(setting % "set" for setting in written))
    result = sweep("launch", config(""), "--local", "--set", here[0])
    assert (result.code, result.err.count("\n")) == (2, 1)
    assert result.err.startswith("error: data.format: 'set' has cifar10 as parquet, not as torchvision")
    assert "set data.format=parquet" in result.err


def test_another_label_column_of_a_named_set_is_refused(tmp_path):
    parquet(tmp_path / "set", label=[0] * 4 + [1] * 4, wet=[0, 1] * 4)
    named = ["--set", "data={name: cifar10, path: set, format: parquet, classes: 2, image_size: 8, flip: false}"]
    assert sweep("launch", config(""), "--local", *named).code == 0
    result = sweep("launch", config(""), "--local", *named, "--set", "data.label_column=wet")
    assert (result.code, result.err.count("\n")) == (2, 1)
    assert "completed trials of this sweep ran on" in result.err


def test_images_that_moved_are_tried_again_where_they_are(tmp_path):
    image_folder(tmp_path / "cats")
    sweep("launch", config("cats"), "--local")
    [row] = Store("results").trials().to_pylist()
    (tmp_path / "cats").rename(tmp_path / "moved")
    assert sweep("retry", row["trial_id"], "--force", "--local").code == 2
    assert sweep("retry", row["trial_id"], "--force", "--local", "--set", "data.path=moved").code == 0
    [again] = Store("results").trials().to_pylist()
    assert again["outcome"] != row["outcome"]
    assert sweep("verify", "results").code == 0


def test_where_the_cache_is_for_a_store_that_is_no_folder(tmp_path):
    assert fingerprints.cache("s3://bucket/sweeps")._files == [tmp_path / "cache/sweep/fingerprints.json"]


def test_a_rerun_of_a_record_from_before_a_column_came_has_nothing_to_compare_it_with(tmp_path):
    image_folder(tmp_path / "cats")
    sweep("launch", config("cats"), "--local")
    store = Store("results")
    [row] = store.trials().to_pylist()
    record = replace(store.trial(row["trial_id"]), data_content=None, tied_kept=None)
    [file] = store.loose("trials")
    store._put(file.name, table(TrialRecord, [record]))
    assert Store("results").trial(row["trial_id"]).data_content is None
    result = sweep("trial", "rerun", row["trial_id"])
    assert result.code == 0, result.out
    assert "data_content" not in result.out
