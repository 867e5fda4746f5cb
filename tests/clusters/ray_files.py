"""The files of ``ray up``, as Ray reads them."""

from pathlib import Path
from typing import Any

import yaml
from ray.autoscaler._private.util import prepare_config, validate_config


def as_ray_reads(file: Path) -> dict[str, Any]:
    """What Ray makes of a file, after it has checked it."""
    prepared: dict[str, Any] = prepare_config(yaml.safe_load(file.read_text()))
    validate_config(prepared)
    return prepared
