"""A quick try of a sweep: two epochs on a tenth of the training images, under another name and in another store."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sweep.config import validate
from sweep.config.yaml_tree import Node, override, plain, put
from training.config import TrainConfig

EPOCHS, FRACTION = 2, 0.1
SUFFIX = "-quick"
_KEYS = ("training.epochs", "training.milestones", "training.warmup_epochs", "data.train", "store")


def shorten(root: Node, settings: Sequence[str], default_name: str) -> Node:
    """The tree of the quick try of a config with the settings of ``--set``.

    Settings of the keys that a quick try changes replace its own values. Its name always ends in :data:`SUFFIX`.

    Raises:
        InputError: the section ``training`` or a setting is wrong.
    """
    replacing = [setting for setting in settings if setting.partition("=")[0].strip() in _KEYS]
    full = override(root, [setting for setting in settings if setting not in replacing])
    data = full.value.get("data") if isinstance(full.value, dict) else None
    if data is None or not isinstance(data.value, (str, dict)):
        return full  # reading it says what is wrong
    if isinstance(data.value, str):  # `data: digits` for `data: {name: digits}`
        full = put(full, "data", replace(data, value={"name": data}))
    before = _training(full)
    is_given = any(setting.partition("=")[0].strip() == "training.epochs" for setting in replacing)
    epochs = _training(override(full, replacing)).epochs if is_given else min(EPOCHS, before.epochs)
    changes: dict[str, Any] = {
        "training.epochs": epochs,
        "training.milestones": milestones(before, epochs),
        "training.warmup_epochs": before.warmup_epochs * epochs / before.epochs if before.epochs else 0.0,
        "data.train": min(FRACTION, _fraction(full)),
        "store": quick_store(_text(full, "store", "results")),
    }
    quick = full
    for key, value in changes.items():
        quick = put(quick, key, plain(value, "--quick"))
    quick = override(quick, replacing)
    name = _text(full, "name", default_name)
    where = full.value["name"].where if "name" in full.value else "--quick"
    return put(quick, "name", Node(name if name.endswith(SUFFIX) else name + SUFFIX, where))


def milestones(training: TrainConfig, epochs: int) -> list[int]:
    """The milestones that a training reaches, at the same fractions of ``epochs``, none before the first epoch ends."""
    reached = [milestone for milestone in training.milestones if milestone < training.epochs]
    scaled = {max(1, min(round(milestone * epochs / training.epochs), epochs - 1)) for milestone in reached}
    return sorted(scaled) if epochs > 1 else []


def quick_store(store: str) -> str:
    """The store of quick tries: ``results`` -> ``results-quick``, ``s3://bucket/a?x=1`` -> ``s3://bucket/a-quick?x=1``."""
    place, mark, query = store.partition("?") if "://" in store else (store, "", "")
    place = place.rstrip("/")
    parents, _, last = place.partition("://")[2].rpartition("/") if "://" in place else place.rpartition("/")
    has_neighbours = last.strip(".") and (parents or "://" not in place)  # other buckets are not ours
    return f"{place}{SUFFIX if has_neighbours else '/quick'}{mark}{query}"


def _training(root: Node) -> TrainConfig:
    node = root.value.get("training")
    return TrainConfig() if node is None else validate.read(TrainConfig, node, "training")


def _fraction(root: Node) -> float:
    node = root.value["data"].value.get("train")
    fraction: float = 1.0 if node is None else validate.value(float, node, "data.train")
    return fraction


def _text(root: Node, key: str, default: str) -> str:
    node = root.value.get(key)
    text: str = default if node is None else validate.value(str, node, key)
    return text
