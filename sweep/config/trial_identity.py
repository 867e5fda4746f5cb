"""A trial's identity as text, and its id. Imports no torch, and nothing that a config names."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from training.config import DataConfig


def canonical(value: Any) -> str:
    """JSON with sorted keys and no spaces: equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def hashed(identity: str) -> str:
    """The id of the trial whose identity has this canonical JSON: 16 hex digits of its sha256."""
    return hashlib.sha256(identity.encode()).hexdigest()[:16]


def stored_identity(values: Mapping[str, Any]) -> dict[str, Any]:
    """:meth:`TrialConfig.identity` of the trial whose :meth:`TrialConfig.as_dict` is ``values``.

    It uses the text alone: nothing that the config names is looked up or imported.
    """
    fields = {f.name: f for f in dataclasses.fields(DataConfig)}
    data = {name: value for name, value in values["data"].items() if _is_identity(fields[name], value)}
    return {**values, "data": data}


def identity_fields(config: Any) -> dict[str, Any]:
    """The fields that are part of a trial's identity.

    Fields that were added later are part of it only where they are not at their defaults: older ids do not change.
    """
    fields = [(f, getattr(config, f.name)) for f in dataclasses.fields(config)]
    return {f.name: value for f, value in fields if _is_identity(f, value)}


def _is_identity(field: dataclasses.Field[Any], value: Any) -> bool:
    return field.metadata.get("identity", True) is not False and not is_omitted(field, value)


def is_omitted(field: dataclasses.Field[Any], value: Any) -> bool:
    """Whether a field was added later and is at its default: configs are written as they were before it."""
    was_added = "unless default" in (field.metadata.get("identity"), field.metadata.get("written"))
    return was_added and value == field.default
