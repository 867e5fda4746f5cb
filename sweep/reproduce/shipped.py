"""The reproductions that are shipped: a YAML in ``configs``, with what was published in ``configs/published``."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sweep.config import shipped as shipped_configs
from sweep.config.config import SweepConfig, read_sweep
from sweep.config.grid import expand
from sweep.config.shipped import folders
from sweep.errors import InputError
from sweep.report.names import architecture_name, data_name
from sweep.reproduce.published import FAIL, Claim, Number, read_claims, read_numbers
from sweep.text import number
from training.suggest import suggest

_EMBEDDED = "digits"  # ours to know: on any other data a claim is the paper's to keep
Key = tuple[str, str, float]  # architecture, method, sparsity: labels as in the YAML


@dataclass(frozen=True)
class Reproduction:
    """A sweep, and what of it was published.

    Attributes:
        sweep: the YAML with the user's settings; its grid holds every row.
        left_out: rows of the tables that lie outside the grid as it was set.
    """

    sweep: SweepConfig
    numbers: tuple[Number, ...]
    claims: tuple[Claim, ...]
    left_out: int = 0

    @property
    def rows(self) -> tuple[Number | Claim, ...]:
        """Both."""
        return (*self.numbers, *self.claims)


def names() -> list[str]:
    """Every name that can be reproduced here."""
    return sorted({path.stem for folder in folders() for path in folder.glob("*.yaml") if _tables(path)})


def find(name: str) -> Path:
    """The YAML of a shipped name, looked up in ``./configs`` and in the package; or of a path to one.

    Raises:
        InputError: no such name, with the nearest known one; no such file; nothing published beside it.
    """
    if name.endswith((".yaml", ".yml")):
        path = shipped_configs.find(name)
        if not path.is_file():
            raise InputError(f"{path}: there is no such config")
        if not _tables(path):
            raise InputError(
                f"{path}: nothing to judge it by; put {path.stem}.csv or {path.stem}.claims.csv into"
                f" {path.parent / 'published'}"
            )
        return path
    found = [path for folder in folders() if (path := folder / f"{name}.yaml").is_file() and _tables(path)]
    if not found and not names():
        raise InputError(
            f"{name}: neither {Path.cwd() / 'configs'} nor the installed package has configs with published numbers;"
            " install sweep again, or give the path of a YAML"
        )
    if not found:
        raise InputError(f"{name!r} is no shipped reproduction; {suggest(name, names())}")
    return found[0]


def read(path: Path, settings: Iterable[str] = ()) -> Reproduction:
    """The sweep of a YAML and its published rows. Rows outside the grid as ``settings`` leave it are left out.

    Raises:
        InputError: a damaged YAML or table; a row that the YAML's own grid lacks; settings that leave no row, or
            that change the data.
    """
    shipped, asked = read_sweep(path), read_sweep(path, settings)
    numbers_file, claims_file = _files(path)
    whole = Reproduction(
        shipped,
        tuple(read_numbers(numbers_file)) if numbers_file.is_file() else (),
        tuple(read_claims(claims_file)) if claims_file.is_file() else (),
    )
    _check(path, whole)
    if asked.data.name != shipped.data.name:
        raise InputError(f"--set data.name: what was published is about {shipped.data.name}, not {asked.data.name}")
    grid = _keys(asked)
    kept = Reproduction(
        asked,
        tuple(number for number in whole.numbers if _cells(number) <= grid),
        tuple(claim for claim in whole.claims if _cells(claim) <= grid),
    )
    if not kept.rows:
        raise InputError(f"{path}: with this --set the grid holds none of the {len(whole.rows)} published rows")
    return replace(kept, left_out=len(whole.rows) - len(kept.rows))


def summarise(name: str) -> dict[str, Any]:
    """What a shipped name takes and what it is judged by, in plain values."""
    found = read(find(name))
    sweep = found.sweep
    return {
        "name": name,
        "data": data_name(sweep.data.name, None),
        "architecture": ", ".join(architecture_name(choice.label) for choice in sweep.grid.architecture),
        "trials": len(expand(sweep)),
        "epochs": sweep.training.epochs,
        "numbers": len(found.numbers),
        "claims": len(found.claims),
        "source": "; ".join(dict.fromkeys(row.source for row in found.rows)),
    }


def _files(config: Path) -> tuple[Path, Path]:
    folder = config.parent / "published"
    return folder / f"{config.stem}.csv", folder / f"{config.stem}.claims.csv"


def _tables(config: Path) -> list[Path]:
    return [path for path in _files(config) if path.is_file()]


def _keys(config: SweepConfig) -> set[Key]:
    return {(trial.architecture.label, trial.method_label, trial.sparsity) for trial in expand(config)}


def _cells(row: Number | Claim) -> set[Key]:
    methods = (row.method, row.reference) if isinstance(row, Claim) else (row.method,)
    return {(row.architecture, method, row.sparsity) for method in methods}


def _check(path: Path, whole: Reproduction) -> None:
    grid, data = _keys(whole.sweep), whole.sweep.data.name
    for row in whole.rows:
        for architecture, method, sparsity in sorted(_cells(row) - grid):
            raise InputError(f"{row.where}: {_lacking(architecture, method, sparsity, grid)}: {path}")
    for claim in whole.claims:
        if claim.expected == FAIL and data != _EMBEDDED:
            raise InputError(f"{claim.where}: expected: only {_EMBEDDED} may be known to fail, not {data}; remove it")


def _lacking(architecture: str, method: str, sparsity: float, grid: set[Key]) -> str:
    """What of a cell is not in the grid, with the nearest that is."""
    architectures = sorted({key[0] for key in grid})
    if architecture not in architectures:
        return f"architecture: {architecture!r} is not in the grid ({suggest(architecture, architectures)})"
    methods = sorted({key[1] for key in grid if key[0] == architecture})
    if method not in methods:
        return f"method: {method!r} is not in the grid ({suggest(method, methods)})"
    has = ", ".join(f"{number(key[2])}" for key in sorted(grid) if key[:2] == (architecture, method))
    return f"sparsity: {method} has no {number(sparsity)} in the grid (it has {has})"
