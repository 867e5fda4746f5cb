"""The quickstart on S3, by the real protocol: killed and relaunched, it gives the same table as on a disk.

In the suite it has three methods and one sparsity and seed. With ``WHOLE_QUICKSTART=1`` in the environment it is all of
``configs/digits.yaml``, three times: ten minutes.
"""

import os
from pathlib import Path

import pytest

from sweep.store import Store

from .conftest import Lab, kill, table

pytestmark = pytest.mark.slow
DIGITS = str(Path(__file__).parents[2] / "configs/digits.yaml")
WHOLE = bool(os.environ.get("WHOLE_QUICKSTART"))
SMALL = ["tracking.enabled=false"] if WHOLE else [
    "grid.method=[dense,snip,{name: force, rounds: 10}]", "grid.seed=0", "grid.sparsity=0.9", "training.epochs=2",
    "tracking.enabled=false",
]  # fmt: skip
SECRET = "hush-hush"
SETTINGS = [part for setting in SMALL for part in ("--set", setting)]


@pytest.fixture
def bucket(lab: Lab, s3: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of a store on S3."""
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    lab.environment["AWS_EC2_METADATA_DISABLED"] = "true"
    uri = f"s3://somebody:{SECRET}@bucket-{os.getpid()}/sweeps?{s3}"
    Store(uri).files.fs.create_dir(f"bucket-{os.getpid()}")
    return uri


@pytest.mark.timeout(2400 if WHOLE else 300)
def test_the_quickstart_killed_and_relaunched_gives_the_table_of_a_disk(lab: Lab, bucket: str) -> None:
    store = Store(bucket)
    lab.run("launch", DIGITS, "--local", *SETTINGS)
    launch = lab.start("launch", DIGITS, "--local", *SETTINGS, "--set", f"store={bucket}")
    some = 20 if WHOLE else 1
    lab.wait_for(lambda: len(store.completed()) >= some and store.checkpoints(), launch, seconds=600)
    kill(launch.pid)
    launch.wait()
    before = store.outcomes()
    lab.run("launch", DIGITS, *SETTINGS, "--set", f"store={bucket}")  # on Ray, this time
    assert before.items() <= store.outcomes().items()
    assert table(store) == table(lab.store)
    assert store.checkpoints() == set()
    for command in (["verify", bucket], ["compact", bucket], ["verify", bucket], ["status", "--store", bucket]):
        lab.run(*command)
    assert table(store) == table(lab.store)
    assert all(SECRET not in lab.said(child) for child in lab.children)
