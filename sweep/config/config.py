"""SweepConfig and TrialConfig: what a YAML says, typed, frozen and checked at the edge."""

import dataclasses
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pruning
from pruning.ablations import NONE
from pruning.config import PruneConfig
from sweep.config import fingerprints
from sweep.config import shipped as shipped_configs
from sweep.config import validate as reading
from sweep.config.axes import (
    Choice,
    Grid,
    read_ablation,
    read_architecture,
    read_grid,
    read_method,
    read_seed,
    read_sparsity,
)
from sweep.config.compute import Compute
from sweep.config.yaml_tree import Node, override, plain, read_yaml
from sweep.errors import InputError
from sweep.text import redacted
from training import data as datasets
from training.config import TrainConfig, check_path
from training.data import DataConfig
from training.suggest import suggest


@dataclass(frozen=True)
class Tracking:
    """The MLflow mirror: ``uri`` of its server or database (default: SQLite beside the store), or off."""

    enabled: bool = True
    uri: str | None = None


@dataclass(frozen=True)
class SweepConfig:
    """One YAML: a grid of trials and where they run."""

    name: str
    data: DataConfig
    grid: Grid
    pruning: PruneConfig = field(default_factory=PruneConfig)
    training: TrainConfig = field(default_factory=TrainConfig)
    compute: Compute = field(default_factory=Compute)
    store: str = "results"
    tracking: Tracking = field(default_factory=Tracking)

    def as_dict(self) -> dict[str, Any]:
        """The whole config but its store in plain values, secrets as ``***``; :func:`sweep_from` reads it back."""
        config = dataclasses.asdict(self)
        for axis in ("architecture", "method"):
            config["grid"][axis] = [choice.as_dict() for choice in getattr(self.grid, axis)]
        del config["store"]
        config["tracking"]["uri"] = self.tracking.uri and redacted(self.tracking.uri)
        return config


@dataclass(frozen=True)
class TrialConfig:
    """Everything that decides the outcome of one trial, and nothing else but the way to the data."""

    data: DataConfig
    architecture: Choice
    method: Choice
    sparsity: float
    seed: int
    pruning: PruneConfig
    training: TrainConfig
    ablation: str = NONE

    @property
    def method_label(self) -> str:
        """The method, and the control that is made of it: ``force rounds=300 ablation=invert``."""
        return self.method.label if self.ablation == NONE else f"{self.method.label} ablation={self.ablation}"

    def identity(self) -> dict[str, Any]:
        """What the trial is named by: all fields but those that only say where the data lies.

        No ablation leaves no trace, so that trials from before there were any keep their names.
        """
        control = {} if self.ablation == NONE else {"ablation": self.ablation}
        return control | {
            "data": _identity(self.data),
            "architecture": self.architecture.as_dict(),
            "method": self.method.as_dict(),
            "sparsity": self.sparsity,
            "seed": self.seed,
            "pruning": _identity(self.pruning),
            "training": _identity(self.training),
        }

    def as_dict(self) -> dict[str, Any]:
        """The whole config in plain values; :func:`trial_from` reads it back."""
        unwritten = [f.name for f in dataclasses.fields(DataConfig) if _is_left_out(f, getattr(self.data, f.name))]
        data = {name: value for name, value in dataclasses.asdict(self.data).items() if name not in unwritten}
        return {**self.identity(), "data": data}

    def to_json(self) -> str:
        """Canonical JSON of :meth:`as_dict`."""
        return canonical(self.as_dict())


def canonical(value: Any) -> str:
    """JSON with sorted keys and no spaces: equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def stored_identity(values: Mapping[str, Any]) -> dict[str, Any]:
    """What :meth:`TrialConfig.identity` says of the trial that :meth:`TrialConfig.as_dict` wrote down.

    Told by the text alone: nothing that the config names is looked up or imported.
    """
    fields = {f.name: f for f in dataclasses.fields(DataConfig)}
    data = {name: value for name, value in values["data"].items() if _names_a_trial(fields[name], value)}
    return {**values, "data": data}


def _names_a_trial(field: dataclasses.Field[Any], value: Any) -> bool:
    return field.metadata.get("identity", True) is not False and not _is_left_out(field, value)


def _is_left_out(field: dataclasses.Field[Any], value: Any) -> bool:
    """Whether it came later and is at its default: configs are written as they were before."""
    return field.metadata.get("identity", True) == "unless default" and value == field.default


def _identity(config: Any) -> dict[str, Any]:
    """Fields that name a trial. Those that came later do so unless they are at their default: no older name moves."""
    fields = [(f, getattr(config, f.name)) for f in dataclasses.fields(config)]
    return {f.name: value for f, value in fields if _names_a_trial(f, value)}


def read_sweep(path: str | Path, settings: Iterable[str] = ()) -> SweepConfig:
    """Read and check a whole sweep: a YAML file, or the name of a shipped one, and ``--set`` overrides.

    Raises:
        InputError: naming the file, the line, the key and the fix.
    """
    file = shipped_configs.find(path)
    root = override(read_yaml(file), settings)
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
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", config.name):  # it names folders, too
        said = "" if "name" in root.value else ", as the file is called; set it in the file"
        message = f"letters, digits, '.', '_' and '-' only, at most 100, not {config.name!r}{said}"
        raise root.value.get("name", root).error("name", message)
    try:
        check_path(config.store)
    except ValueError as error:
        raise root.value["store"].error("store", str(error)) from None
    _check_courses(config, root.value["grid"].value["method"])
    return replace(config, data=_fingerprinted(config, root.value["data"]))


def _check_courses(config: SweepConfig, methods: Node) -> None:
    """Make sure that what methods do during training fits into its epochs."""
    nodes = methods.value if isinstance(methods.value, list) else [methods]
    for choice, node in zip(config.grid.method, nodes, strict=True):
        try:
            pruning.find(choice.name).rehearse(dict(choice.options), config.training.epochs)
        except ValueError as error:
            option, _, message = str(error).partition(": ")
            child = node.value.get(option, node) if isinstance(node.value, dict) else node
            raise child.error(f"grid.method.{option}", message) from None


def _part(key: str, node: Node) -> Any:
    if key == "data":
        return _data(node)
    if key == "grid":
        return read_grid(node)
    kinds = {"pruning": PruneConfig, "training": TrainConfig, "compute": Compute, "tracking": Tracking}
    return reading.read(kinds[key], node, key) if key in kinds else reading.value(str, node, key)


def _data(node: Node) -> DataConfig:
    if isinstance(node.value, str):  # `data: digits` for `data: {name: digits}`
        node = Node({"name": node}, node.where)
    config = reading.read(DataConfig, node, "data")
    config = dataclasses.replace(config, validation=config.validation or 0)  # 0.0 names no trial apart
    try:
        return datasets.resolve(config)
    except ValueError as error:
        name, _, message = str(error).partition(": ")
        raise node.value.get(name, node).error(f"data.{name}", message) from None
    except OSError as error:  # its files must not be looked at
        raise node.value.get("path", node).error("data.path", f"{config.path!r}: {error.strerror}") from None


def _fingerprinted(config: SweepConfig, node: Node) -> DataConfig:
    """Its data, with the fingerprint of your own images. After the rest is checked: it may read all of them."""
    try:
        return fingerprints.filled_in(config.data, config.store)
    except ValueError as error:
        name, _, message = str(error).partition(": ")
        raise node.error(f"data.{name}", message) from None


def trial_from(values: Mapping[str, Any]) -> TrialConfig:
    """The trial that :meth:`TrialConfig.as_dict` wrote down (a stored record, a message to a worker).

    Raises:
        InputError: not such a config, or of a version with other fields.
    """
    where = "stored trial config"
    try:
        return TrialConfig(
            data=reading.read(DataConfig, plain(values["data"], where), "data"),
            architecture=read_architecture(plain(values["architecture"], where), "architecture"),
            method=read_method(plain(values["method"], where), "method"),
            sparsity=read_sparsity(plain(values["sparsity"], where), "sparsity"),
            seed=read_seed(plain(values["seed"], where), "seed"),
            pruning=reading.read(PruneConfig, plain(values["pruning"], where), "pruning"),
            training=reading.read(TrainConfig, plain(values["training"], where), "training"),
            ablation=read_ablation(plain(values.get("ablation", NONE), where), "ablation"),
        )
    except KeyError as error:
        raise InputError(f"{where}: {error.args[0]}: is missing") from None
