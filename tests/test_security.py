"""Security: what docs/security.md does not trust is kept out, and secrets are kept in."""

import json
import os
import pickle
import re
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from sweep.cli import main
from sweep.errors import InputError
from sweep.records import Outcome, SweepRecord, TrialRecord, table
from sweep.store import Store
from sweep.text import redacted
from training import checkpoint

pytestmark = pytest.mark.slow  # launches, trainings or processes

ROOT = Path(__file__).parents[1]
SECRET = "hush-hush"


def sweep(*arguments: str):
    return CliRunner().invoke(main, arguments)


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        (f"s3://key:{SECRET}@bucket/x", "s3://***@bucket/x"),
        (f"https://me:{SECRET}@host:5000/p", "https://***@host:5000/p"),
        (f"https://me:a@{SECRET}@host/p", "https://***@host/p"),
        (f"s3://bucket?secret_key={SECRET}&region=x", "s3://bucket?secret_key=***&region=x"),
        (f"https://h/?a=1&TOKEN={SECRET}", "https://h/?a=1&TOKEN=***"),
        ("s3://bucket/x?scheme=http", "s3://bucket/x?scheme=http"),
        ("mail me@host", "mail me@host"),
    ],
)
def test_secrets_of_addresses_are_not_shown(address: str, shown: str) -> None:
    assert redacted(f"see {address} there") == f"see {shown} there"


def test_no_secret_is_printed_stored_or_mirrored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sweep whose tracking address and error messages hold one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "leaky.py").write_text(
        "from torch import nn\n"
        "class Leaky(nn.Sequential):\n"
        "    def forward(self, x):\n"
        "        if self.training and len(x) > 2: raise OSError('cannot reach s3://key:hush-hush@bucket/x')\n"
        "        return super().forward(x)\n"
        "def network(classes):\n"
        "    return Leaky(nn.Flatten(), nn.Linear(64, classes))\n"
    )
    (tmp_path / "leaky.yaml").write_text(
        "data: digits\n"
        "grid: {architecture: 'leaky:network', method: random, sparsity: 0.5, seed: 0}\n"
        "training: {epochs: 1}\n"
        f"tracking: {{uri: 'http://me:{SECRET}@127.0.0.1:9'}}\n"
    )
    said = ""
    for command in (
        ["plan", "leaky.yaml"], ["launch", "leaky.yaml", "--local"], ["launch", "leaky.yaml", "--local", "--json"],
        ["status"], ["failures"], ["failures", "--json"], ["sync"], ["verify"], ["retry", "--failed", "--local"],
    ):  # fmt: skip
        done = sweep(*command)
        said += done.output + done.stderr
    name = next(iter(Store("results").statuses()))
    said += sweep("trial", "show", name, "--json").output
    assert "cannot reach s3://***@bucket/x" in said
    assert SECRET not in said
    for path in (tmp_path / "results").rglob("*"):
        assert path.is_dir() or SECRET.encode() not in path.read_bytes()
        if path.suffix == ".parquet":
            assert SECRET not in str(pq.read_table(path).to_pylist())


def test_reading_a_strangers_store_imports_nothing_that_it_names(tmp_path: Path, outcome, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "trap.py").write_text("from pathlib import Path\nPath('sprung').touch()\ndef network(classes): ...\n")
    store = Store("results")
    config = {
        "data": {"name": "digits"}, "architecture": {"name": "trap:network"}, "method": {"name": "trap:method"},
        "sparsity": 0.5, "seed": 0, "pruning": {}, "training": {},
    }  # fmt: skip
    for number, status in enumerate(("completed", "failed")):
        trial = outcome(
            f"{number:016x}", status, config=json.dumps(config), architecture="trap:network", method="trap:m"
        )
        store.write(trial)
    launched = {**config, "name": "test", "grid": {"architecture": "trap:network", "method": "trap:method"}}
    record = table(TrialRecord, [trial.trial]).to_pylist()[0]
    store.write_sweep(SweepRecord("test", json.dumps(launched), ("0" * 16,), record["written"] or _now()))
    for command in (
        ["status"], ["failures"], ["verify"], ["compact"], ["report"], ["trial", "show", "0" * 15], ["sync"],
    ):  # fmt: skip
        done = sweep(*command)
        assert done.exception is None or isinstance(done.exception, SystemExit), done.output
    assert not (tmp_path / "sprung").exists()


def _now():
    from datetime import UTC, datetime

    return datetime.now(UTC)


@pytest.mark.parametrize("name", ["../../escaped", "a/b", "", ".hidden", "x" * 15, "G" * 16, "0" * 15 + "\n"])
def test_no_name_in_a_file_leads_out_of_the_store(name: str, tmp_path: Path, outcome) -> None:
    store = Store(tmp_path / "inner/results")
    trial = replace(outcome().trial, trial_id=name)
    with pytest.raises(ValueError, match="not a trial id"):
        store.write(Outcome(trial))
    with pytest.raises(ValueError, match="not a trial id"):
        store.save_checkpoint(name, b"")
    store.write(outcome())
    path = tmp_path / "inner/results/trials/fold-00000000.parquet"
    rows = table(TrialRecord, [trial])
    pq.write_table(rows, path)
    assert store.statuses() == {"a" * 16: "completed"}
    assert "a trial_id is invalid" in store.damaged[str(path)]
    assert sorted(each.name for each in tmp_path.iterdir()) == ["inner"]


def test_a_sweeps_name_is_no_path(tmp_path: Path) -> None:
    for name in ("../x", "a/b", "", ".x", "a\nb"):
        with pytest.raises(ValueError, match="cannot be a sweep's name"):
            Store(tmp_path).write_sweep(SweepRecord(name, "{}", (), _now()))
    assert list(tmp_path.iterdir()) == []


class Trap:
    def __reduce__(self):
        return os.system, ("touch sprung",)


def test_a_checkpoint_runs_no_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    import io

    import torch

    stream = io.BytesIO()
    torch.save({"state": Trap()}, stream)
    honest = checkpoint.dump({"epoch": 1})
    for data in (pickle.dumps(Trap()), stream.getvalue(), honest[: len(honest) // 2]):
        with pytest.raises(ValueError, match="checkpoint"):
            checkpoint.load(data)
    assert checkpoint.load(honest) == {"epoch": 1}
    assert not (tmp_path / "sprung").exists()


def test_a_config_makes_no_objects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "evil.yaml").write_text("data: !!python/object/apply:os.system ['touch sprung']\ngrid: {}\n")
    done = sweep("plan", "evil.yaml")
    assert (done.exit_code, "evil.yaml:1" in done.output + done.stderr) == (2, True)
    assert not (tmp_path / "sprung").exists()


def test_no_module_of_ours_unpickles_what_a_store_or_a_config_holds() -> None:
    allowed = {"sweep/engines/on_ray/worker.py", "sweep/engines/on_ray/callback.py"}  # between processes of one user
    pattern = re.compile(
        r"pickle\.loads?\(|weights_only=False|yaml\.(unsafe_|full_)?load\(|allow_pickle=True|(?<![.\w])(eval|exec)\("
    )
    found = {
        str(path.relative_to(ROOT))
        for folder in ("sweep", "pruning", "training")
        for path in (ROOT / folder).rglob("*.py")
        if pattern.search(path.read_text())
    }
    assert found <= allowed


def test_mlflows_pages_listen_on_loopback_alone(tmp_path: Path) -> None:
    from sweep.tracking import ui_command

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        ui_command(f"sqlite:///{tmp_path}/mlflow.db", port=port), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 90
        while not (found := listening(port)):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.2)
        assert found == {"0100007F"}  # 127.0.0.1
    finally:
        process.terminate()
        process.wait(timeout=30)


def listening(port: int) -> set[str]:
    """Addresses, as the kernel writes them, on which somebody listens at a port."""
    rows = [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
    places = [row[1].split(":") for row in rows if row[3] == "0A"]
    return {address for address, number in places if int(number, 16) == port}


def test_a_local_ray_has_no_dashboard_and_its_token_is_its_owners_alone(tmp_path: Path) -> None:
    code = """
import os
from sweep.engines.on_ray import environment
environment.prepare(None)
import ray
from sweep.engines.on_ray.cluster import connected
with connected(None):
    print(os.environ["RAY_AUTH_MODE"], ray._private.worker.global_worker.node.webui_url or "none")
"""
    environment = os.environ | {"RAY_AUTH_TOKEN_PATH": str(tmp_path / "token")}
    environment.pop("RAY_AUTH_MODE", None)
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120)
    assert done.stdout.split() == ["token", "none"], done.stdout + done.stderr
    assert (tmp_path / "token").stat().st_mode & 0o777 == 0o600


def test_what_cannot_be_read_is_bad_input_and_no_traceback(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"store: ftp://\*\*\*@host/x: ") as raised:
        Store(f"ftp://key:{SECRET}@host/x")
    assert SECRET not in str(raised.value)
