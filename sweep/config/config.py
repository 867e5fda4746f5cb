"""SweepConfig: what a YAML says, typed, frozen and checked when it is read."""

import dataclasses
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pruning
from pruning.config import PruneConfig
from sweep.config import fingerprints, quick, shipped, validate
from sweep.config.combinations import Grid
from sweep.config.compute import Compute
from sweep.config.grid_reader import read_grid, written_methods
from sweep.config.yaml_tree import Node, override, read_yaml
from sweep.text import redacted
from training import data as datasets
from training.config import DataConfig, TrainConfig, check_path
from training.suggest import suggest


@dataclass(frozen=True)
class Tracking:
    """The MLflow mirror of the store.

    Attributes:
        enabled: whether trials are exported to MLflow.
        uri: address of the MLflow server or database; by default an SQLite file beside the store.
    """

    enabled: bool = True
    uri: str | None = None


@dataclass(frozen=True)
class SweepConfig:
    """One YAML: a grid of trials and where they run.

    Attributes:
        name: the sweep's name in the store, in reports and in MLflow: letters, digits, '.', '_' and '-'; by default the
            file's name.
        data: the data set.
        grid: the axes and their values: which trials there are.
        pruning: settings of scoring, shared by all methods.
        training: how every network is trained.
        compute: where trials run.
        store: the folder of the results, or an s3:// or gs:// address.
        tracking: the MLflow mirror.
    """

    name: str
    data: DataConfig
    grid: Grid
    pruning: PruneConfig = field(default_factory=PruneConfig)
    training: TrainConfig = field(default_factory=TrainConfig)
    compute: Compute = field(default_factory=Compute)
    store: str = "results"
    tracking: Tracking = field(default_factory=Tracking)

    def as_dict(self) -> dict[str, Any]:
        """The config without its store, in plain values, secrets as ``***``; :func:`sweep_from` reads it back."""
        config = dataclasses.asdict(self) | {"grid": self.grid.as_dict()}
        del config["store"]
        config["tracking"]["uri"] = self.tracking.uri and redacted(self.tracking.uri)
        return config


def read_sweep(path: str | Path, settings: Iterable[str] = (), is_quick: bool = False) -> SweepConfig:
    """Read and check a sweep: a YAML file or the name of a shipped one, with ``--set`` overrides.

    Args:
        path: the file or name.
        settings: ``KEY=VALUE`` of each ``--set``.
        is_quick: whether to return its quick try (:mod:`sweep.config.quick`).

    Raises:
        InputError: something is wrong; the message names the file, the line, the key and the fix.
    """
    file = shipped.find(path)
    root = read_yaml(file)
    root = quick.shorten(root, tuple(settings), file.stem) if is_quick else override(root, settings)
    return sweep_from(root, default_name=file.stem)


def sweep_from(root: Node, default_name: str = "sweep") -> SweepConfig:
    """The sweep that a tree of values describes."""
    if not isinstance(root.value, dict):
        raise root.error("", "a config is a mapping that begins with 'name:', 'data:' and 'grid:'")
    known = [f.name for f in dataclasses.fields(SweepConfig)]
    for key, node in root.value.items():
        if key not in known:
            raise node.error(key, f"unknown key; {suggest(key, known)}")
    for key in ("data", "grid"):
        if key not in root.value:
            raise root.error(key, "is missing: every sweep has 'data' and 'grid'")
    parts = {key: _part(key, node) for key, node in root.value.items()}
    config = SweepConfig(**{"name": default_name, **parts})
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", config.name):  # folders have this name
        source = "" if "name" in root.value else ", which is the file's name; set it in the file"
        message = f"letters, digits, '.', '_' and '-' only, at most 100, not {config.name!r}{source}"
        raise root.value.get("name", root).error("name", message)
    try:
        check_path(config.store)
    except ValueError as error:
        raise root.value["store"].error("store", str(error)) from None
    _check_options(config, root.value["grid"])
    return replace(config, data=_fingerprinted(config, root.value["data"]))


def _check_options(config: SweepConfig, grid: Node) -> None:
    """Check that the methods' options fit the number of training epochs."""
    for choice, key, node in written_methods(grid):
        try:
            pruning.find(choice.name).rehearse(dict(choice.options), config.training.epochs)
        except ValueError as error:
            option, _, message = str(error).partition(": ")
            child = node.value.get(option, node) if isinstance(node.value, dict) else node
            raise child.error(f"{key}.{option}", message) from None


def _part(key: str, node: Node) -> Any:
    if key == "data":
        return _data(node)
    if key == "grid":
        return read_grid(node)
    kinds = {"pruning": PruneConfig, "training": TrainConfig, "compute": Compute, "tracking": Tracking}
    return validate.read(kinds[key], node, key) if key in kinds else validate.value(str, node, key)


def _data(node: Node) -> DataConfig:
    if isinstance(node.value, str):  # `data: digits` for `data: {name: digits}`
        node = Node({"name": node}, node.where)
    config = validate.read(DataConfig, node, "data")
    config = dataclasses.replace(config, validation=config.validation or 0)  # 0.0 and 0 are one trial
    try:
        return datasets.resolve(config)
    except ValueError as error:
        name, _, message = str(error).partition(": ")
        raise node.value.get(name, node).error(f"data.{name}", message) from None
    except OSError as error:  # no permission to read its files
        raise node.value.get("path", node).error("data.path", f"{config.path!r}: {error.strerror}") from None


def _fingerprinted(config: SweepConfig, node: Node) -> DataConfig:
    """Its data config with the fingerprint of the user's own images.

    Call it last, after all other checks: it may read every image.
    """
    try:
        return fingerprints.filled_in(config.data, config.store)
    except ValueError as error:
        name, _, message = str(error).partition(": ")
        raise node.error(f"data.{name}", message) from None
