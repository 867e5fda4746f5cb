"""Files in a folder, here or on S3: each whole or absent, whoever is killed, whatever is full or away."""

import json
import os
import pickle
import random
import shutil
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pyarrow.fs as pafs
import pytest

from sweep.errors import InputError, StoreError
from sweep.store import Store
from sweep.store import files as module
from sweep.store.files import Files

from .helpers import IDS

TESTS = Path(__file__).parents[2]


class TestEveryBackend:
    """What holds on a local disk and on an object store alike."""

    def test_what_is_put_is_listed_and_read_until_it_is_deleted(self, store):
        files = store.files
        files.put("a/x", b"one")
        files.put("a/x", b"three")
        files.put("a/y", b"")
        assert files.names("a") == ["x", "y"]
        assert [(entry.name, entry.size) for entry in files.entries("a")] == [("x", 5), ("y", 0)]
        assert all(abs(time.time() - entry.changed) < 60 for entry in files.entries("a"))
        assert (files.read("a/x"), files.read("a/y"), files.read("a/z"), files.read("b/x")) == (
            b"three",
            b"",
            None,
            None,
        )
        files.delete("a/x", "a/z", "b/x")
        files.delete()
        assert files.names("a") == ["y"]
        assert files.names("b") == files.names("a/y") == []

    def test_folders_are_no_files(self, store):
        store.files.put("a/b/x", b"")
        assert store.files.names("a") == []

    def test_a_moved_file_is_in_one_place(self, store):
        store.files.put("a/x", b"1")
        store.files.move("a/x", "damaged/a/x")
        assert (store.files.read("a/x"), store.files.read("damaged/a/x")) == (None, b"1")
        with pytest.raises(StoreError, match="cannot move a/x in"):
            store.files.move("a/x", "damaged/a/x")

    def test_pickled_it_is_the_same_folder(self, store):
        store.files.put("a/x", b"1")
        assert pickle.loads(pickle.dumps(store.files)).read("a/x") == b"1"

    @pytest.mark.slow
    def test_a_writer_killed_at_any_moment_leaves_the_old_or_the_new_file_whole(self, store, forks):
        """Kill -9, again and again, of a process that writes a in the place of b in the place of a …"""
        files, size = store.files, 2 << 20
        files.put("a/x", b"a" * size)
        code = f"""
files, n = Files(uri), 0
while True:
    files.put("a/x", (b"a", b"b")[n % 2] * {size})
    n += 1
"""
        seen = set()
        for _ in range(8):
            writer = forks.start(code, uri=store.uri)
            deadline = time.monotonic() + random.uniform(0.05, 0.3)
            while time.monotonic() < deadline:
                seen.add(files.read("a/x"))
            writer.kill()
            seen.add(files.read("a/x"))
        assert seen <= {b"a" * size, b"b" * size}
        assert files.names("a") == ["x"] or store.local
        assert Store(store.uri).names("a") == []


@pytest.mark.parametrize("uri", ["ftp://host/x", "s3:///", "s3://", "nope://x", "a\0b", "", "~nobody-here/x"])
def test_a_uri_of_no_known_kind_is_refused(uri):
    with pytest.raises(InputError, match="use a folder, s3://bucket/prefix or gs://bucket/prefix"):
        Store(uri)


def test_a_file_in_the_stores_place_is_refused(tmp_path):
    (tmp_path / "results").write_text("")
    with pytest.raises(InputError, match="is a file; name a folder, with --set store=DIR"):
        Store(tmp_path / "results")


def test_a_folder_that_cannot_be_is_refused_before_anything_runs(tmp_path):
    with pytest.raises(InputError, match="is too long for a path: 3.. bytes"):
        Store(tmp_path / ("x" * 300))
    with pytest.raises(InputError, match="cannot write to /proc/x: .*; name another with --set store=DIR"):
        Store("/proc/x").check_writable()


def test_a_home_is_told_by_its_sign_and_a_relative_name_is_made_absolute(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert Files("~/x").local == Files("x").local == tmp_path / "x"


def test_a_file_that_cannot_be_written_is_named_and_nothing_half_is_left(tmp_path):
    files = Files(tmp_path)
    (tmp_path / "a").write_text("in the way of the folder")
    with pytest.raises(StoreError, match=r"^store: cannot write a/x to .*: (File exists|Not a directory)$"):
        files.put("a/x", b"1")
    assert [path.name for path in tmp_path.rglob("*")] == ["a"]


def test_what_killed_writers_have_left_is_cleared_away_when_it_is_old(local):
    files = local.files
    files.put("trials/x", b"1")
    left = [local.local / "trials" / f".x.{letter * 32}.tmp" for letter in "ab"]
    for path in left:
        path.write_bytes(b"half")
    mine = local.local / "trials" / ".notes.tmp"
    mine.write_bytes(b"somebody's own")
    for path in (left[0], mine):
        os.utime(path, (time.time() - 7200,) * 2)
    files.clear()
    assert [path.exists() for path in (*left, mine)] == [False, True, True]


def test_a_folder_that_is_removed_while_something_is_put_into_it_is_made_again(local):
    """A launch that ends removes the empty folder of leases just when another begins."""
    files, ended = local.files, threading.Event()

    def remove():
        while not ended.is_set():
            files.remove_empty("leases", root=True)
            time.sleep(0.0005)  # or there would be no moment for anybody else

    thread = threading.Thread(target=remove)
    thread.start()
    try:
        for _ in range(200):
            files.put("leases/x", b"1", synced=False)
            files.delete("leases/x")
    finally:
        ended.set()
        thread.join()


FULL = """
import json, os, sys
from pathlib import Path
from conftest import make_outcome
from sweep.errors import StoreError
from sweep.store import Store
from sweep.store.folding import fold

def error(work):
    try:
        work()
    except StoreError as error:
        return str(error)

folder = Path(sys.argv[1])
store = Store(folder)
for name in "ab":
    store.write(make_outcome(16 * name))
store.save_checkpoint("a" * 16, b"1" * 5000)
rows = store.trials().to_pylist(), store.epochs().to_pylist(), store.masks().to_pylist()
with open(folder / "filler", "wb", buffering=0) as filler:
    try:
        while True:
            filler.write(os.urandom(4096))
    except OSError:
        pass
before = {str(path) for path in folder.rglob("*")}
found = {
    "checkpoint": error(lambda: store.save_checkpoint("a" * 16, b"2" * 50000)),
    "write": error(lambda: store.write(make_outcome("a" * 16))),
    "fold": error(lambda: fold(store)),
    "kept": store.load_checkpoint("a" * 16) == b"1" * 5000,
    "new": sorted({str(path) for path in folder.rglob("*")} - before),
    "same": rows == (store.trials().to_pylist(), store.epochs().to_pylist(), store.masks().to_pylist()),
}
(folder / "filler").unlink()
store.write(make_outcome("c" * 16))
fold(store)
found["later"] = sorted(store.completed()) + store.reader.names("epochs")
print(json.dumps(found))
"""


@pytest.mark.slow
def test_a_full_disk_keeps_what_was_there_and_leaves_nothing_half(tmp_path):
    """A tmpfs of half a megabyte, in a namespace of its own."""
    mount = f"mount -t tmpfs -o size=512k tmpfs {tmp_path}"
    inside = ["unshare", "-Urm", "sh", "-c"]
    if shutil.which("unshare") is None or subprocess.run([*inside, mount], capture_output=True).returncode:
        pytest.skip("a small disk takes mounting a tmpfs, which 'unshare -Urm' is not allowed here")
    (script := tmp_path.parent / "full.py").write_text(FULL)
    path = os.pathsep.join([str(TESTS.parent), str(TESTS)])
    done = subprocess.run(
        [*inside, f"{mount} && exec {sys.executable} {script} {tmp_path}"],
        env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    full = f"to {tmp_path}: No space left on device"
    assert found["checkpoint"] == f"store: cannot write checkpoints/{IDS[0]}.pt {full}"
    assert found["write"].startswith(f"store: cannot write masks/{IDS[0]}-") and found["write"].endswith(full)
    assert found["fold"].startswith("store: cannot write ") and found["fold"].endswith(full)
    assert (found["kept"], found["same"], found["new"]) == (True, True, [])
    assert found["later"][:3] == IDS[:3] and len(found["later"]) == 4


class Proxy:
    """A way to a server that can be closed and opened again: connections are refused meanwhile, and cut off."""

    def __init__(self, port: int):
        self._target, self._pairs = port, []
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        self.open()

    def open(self) -> None:
        self._server = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, args=(self._server,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        for one in self._pairs:
            one.close()

    def _accept(self, server: socket.socket) -> None:
        while True:
            try:
                here = server.accept()[0]
                there = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                return
            self._pairs += [here, there]
            for pair in ((here, there), (there, here)):
                threading.Thread(target=self._copy, args=pair, daemon=True).start()

    def _copy(self, source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(1 << 16):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass


@pytest.mark.slow
class TestS3ThatIsAway:
    """The real protocol, through a way that is closed for a time."""

    @pytest.fixture
    def way(self, s3, aws, monkeypatch):
        monkeypatch.setattr(module, "RETRIES", (0.3, 0.3, 0.3))
        port = urlsplit(parse_qs(s3)["endpoint_override"][0]).port
        proxy = Proxy(port)
        files = Files(f"s3://somebody:hush-hush@away/x?{s3.replace(str(port), str(proxy.port))}")
        files.fs.create_dir("away")
        once = pafs.AwsStandardS3RetryStrategy(max_attempts=1)  # pyarrow's own take seconds, and prove nothing of ours
        files.fs = pafs.S3FileSystem(
            endpoint_override=f"127.0.0.1:{proxy.port}", scheme="http", region="us-east-1", retry_strategy=once
        )
        yield proxy, files
        proxy.close()

    @contextmanager
    def closed(self, proxy):
        proxy.close()
        yield
        proxy.open()

    def test_a_put_waits_for_it_to_come_back(self, way):
        proxy, files = way
        files.put("a/x", b"1")
        with self.closed(proxy):
            thread = threading.Thread(target=files.put, args=("a/x", b"2"))
            thread.start()
            time.sleep(0.2)
        thread.join(60)
        assert files.read("a/x") == b"2"

    def test_what_cannot_be_reached_is_an_error_without_secrets_and_no_damage(self, way):
        proxy, files = way
        store = Store(files.uri)
        store.files.fs = files.fs
        files.put("trials/x.parquet", b"1")
        with self.closed(proxy):
            for work in (
                store.trials, lambda: files.put("a/x", b"2"), lambda: files.delete("a/x"), lambda: files.read("a/x"),
                lambda: store.reader.read("trials", "x.parquet"),
            ):  # fmt: skip
                with pytest.raises(StoreError, match=r"store: cannot \w+ .*away/x") as error:
                    work()
                assert "hush" not in str(error.value)
        assert store.damaged == {}
        assert files.names("trials") == ["x.parquet"]

    def test_a_bucket_that_there_is_not_is_told_at_once(self, s3, aws):
        files = Files(f"s3://there-is-none/x?{s3}")
        begin = time.monotonic()
        with pytest.raises(StoreError, match=r"cannot write a/x to s3://there-is-none/x"):
            files.put("a/x", b"1")
        assert time.monotonic() - begin < 5


def test_secrets_are_no_part_of_the_name_for_people():
    files = Files("s3://key:hush@bucket/x?endpoint_override=http://127.0.0.1:1&scheme=http&region=us-east-1")
    assert "hush" not in files.name
    assert "hush" in files.uri
    assert files.path("a/x") == "bucket/x/a/x"
