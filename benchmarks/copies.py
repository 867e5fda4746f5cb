"""Data once a machine: what the object store of each node of a cluster received for four trials and for sixteen."""

import io
import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from PIL import Image

from benchmarks.measure import Row, Setup
from sweep.config.config import read_sweep
from sweep.config.grid import expand
from sweep.engines import Stop, Watchers, on_ray
from sweep.store import Store
from sweep.store.claims import Claims

IMAGES, SIDE = 8000, 64  # in memory: 103 MB
NODES, CORES = 2, 2
SWEEP = {
    "data": {"name": "parquet", "classes": 10, "image_size": SIDE},
    "grid": {"architecture": "resnet20", "method": "random", "sparsity": 0.9},
    "training": {"epochs": 0},
    "pruning": {"batch_size": 10},
}


def run(setup: Setup) -> Iterator[Row]:
    """A row a number of trials: the copies of the data set that a node received, of the one with the most."""
    if setup.device != "cpu":
        return
    with tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp") as name:  # short: sockets have long names
        folder = Path(name)
        size = _write_images(folder)
        with _cluster(folder) as address:
            before = _received(address)
            for seeds in (4, 12):
                _launch(folder, address, seeds)
                now = _received(address)
                copies = max(now[node] - before[node] for node in now) / size
                title = (
                    f"copies of a data set of {size / 1e6:.0f} MB that a node received for {seeds} trials on {NODES}"
                )
                yield Row("copies", f"{title} nodes", copies, copies, copies, unit="copies", at_most=1.1)
                before = now


def _write_images(folder: Path) -> int:
    """Write noise as Parquet; the bytes that it takes decoded."""
    rng = np.random.default_rng(0)
    for part, count in (("train", IMAGES), ("test", IMAGES // 20)):
        images = [_encoded(rng.integers(256, size=(SIDE, SIDE, 3), dtype=np.uint8)) for _ in range(count)]
        table = pa.table({"image": pa.array(images, pa.binary()), "label": np.arange(count) % 10})
        pq.write_table(table, folder / f"{part}.parquet")
    return (IMAGES + IMAGES // 20) * 3 * SIDE**2


def _encoded(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "BMP")
    return buffer.getvalue()


@contextmanager
def _cluster(folder: Path) -> Iterator[str]:
    """The address of a cluster whose head runs no trials: nodes on this machine, but Ray cannot tell."""
    (folder / "ray").mkdir()
    os.environ["RAY_TMPDIR"] = str(folder)
    from sweep.engines.on_ray import environment

    environment.prepare("auto")
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    for _ in range(NODES):
        cluster.add_node(num_cpus=CORES)
    try:
        yield cluster.address
    finally:
        cluster.shutdown()
        del os.environ["RAY_TMPDIR"]


def _launch(folder: Path, address: str, seeds: int) -> None:
    config = SWEEP | {"store": str(folder / f"results of {seeds}"), "name": "copies"}
    config["data"] = {**config["data"], "path": str(folder)}  # type: ignore[dict-item]
    config["grid"] = {**config["grid"], "seed": list(range(seeds))}  # type: ignore[dict-item]
    (folder / "copies.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    sweep, stop = read_sweep(folder / "copies.yaml"), Stop()
    store = Store(sweep.store)
    on_ray.run(sweep, expand(sweep), Claims.alone(store), Watchers([]), stop, address=address)
    if stop.error or len(store.completed()) != seeds:
        raise RuntimeError(f"{len(store.completed())} of {seeds} trials completed ({stop.error})")


def _received(address: str) -> dict[str, int]:
    """Bytes that were written into the object store of each node so far, by node id."""
    import ray
    from ray._private.internal_api import node_stats

    ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    try:
        nodes: list[dict[str, Any]] = ray.nodes()
        stats = {n["NodeID"]: node_stats(n["NodeManagerAddress"], n["NodeManagerPort"]) for n in nodes}
        return {node: each.store_stats.cumulative_created_bytes for node, each in stats.items()}
    finally:
        ray.shutdown()
