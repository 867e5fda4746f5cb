"""Reproductions: a sweep's YAML with tables of published results beside it. Some are shipped in ``configs``."""

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

_EMBEDDED = "digits"  # the only data set on which a claim may be expected to fail
CellKey = tuple[str, str, float]  # architecture, method, sparsity: labels as in the YAML


@dataclass(frozen=True)
class Reproduction:
    """A sweep and published results of it.

    Attributes:
        sweep: the YAML with the user's settings; its grid includes every row.
        left_out: number of published rows that the user's settings exclude from the grid.
    """

    sweep: SweepConfig
    numbers: tuple[Number, ...]
    claims: tuple[Claim, ...]
    left_out: int = 0

    @property
    def rows(self) -> tuple[Number | Claim, ...]:
        """Numbers and claims."""
        return (*self.numbers, *self.claims)


def names() -> list[str]:
    """All names that ``sweep reproduce`` knows here."""
    return sorted({path.stem for folder in folders() for path in folder.glob("*.yaml") if _tables(path)})


def find(name: str) -> Path:
    """The YAML of a name, in ``./configs`` or in the package; or the YAML itself, given its path.

    Raises:
        InputError: no such name, with the nearest known one; no such file; no published results beside it.
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
    paths = [path for folder in folders() if (path := folder / f"{name}.yaml").is_file() and _tables(path)]
    if not paths and not names():
        raise InputError(
            f"{name}: neither {Path.cwd() / 'configs'} nor the installed package has configs with published numbers;"
            " install sweep again, or give the path of a YAML"
        )
    if not paths:
        raise InputError(f"{name!r} is no shipped reproduction; {suggest(name, names())}")
    return paths[0]


def read(path: Path, settings: Iterable[str] = ()) -> Reproduction:
    """The sweep of a YAML and its published rows; rows that ``settings`` exclude from the grid are left out.

    Raises:
        InputError: a damaged YAML or table; a row that the YAML's own grid lacks; settings that exclude every row, or
            change the data.
    """
    shipped, chosen = read_sweep(path), read_sweep(path, settings)
    numbers_file, claims_file = _files(path)
    complete = Reproduction(
        shipped,
        tuple(read_numbers(numbers_file)) if numbers_file.is_file() else (),
        tuple(read_claims(claims_file)) if claims_file.is_file() else (),
    )
    _check(path, complete)
    if chosen.data.name != shipped.data.name:
        raise InputError(f"--set data.name: what was published is about {shipped.data.name}, not {chosen.data.name}")
    grid = _keys(chosen)
    kept = Reproduction(
        chosen,
        tuple(number for number in complete.numbers if _cells(number) <= grid),
        tuple(claim for claim in complete.claims if _cells(claim) <= grid),
    )
    if not kept.rows:
        raise InputError(f"{path}: with this --set the grid holds none of the {len(complete.rows)} published rows")
    return replace(kept, left_out=len(complete.rows) - len(kept.rows))


def summarise(name: str) -> dict[str, Any]:
    """Size, data and sources of a reproduction, in plain values."""
    reproduction = read(find(name))
    sweep = reproduction.sweep
    return {
        "name": name,
        "data": data_name(sweep.data.name, None),
        "architecture": ", ".join(architecture_name(choice.label) for choice in sweep.grid.used("architecture")),
        "trials": len(expand(sweep)),
        "epochs": sweep.training.epochs,
        "numbers": len(reproduction.numbers),
        "claims": len(reproduction.claims),
        "source": "; ".join(dict.fromkeys(row.source for row in reproduction.rows)),
    }


def _files(config: Path) -> tuple[Path, Path]:
    folder = config.parent / "published"
    return folder / f"{config.stem}.csv", folder / f"{config.stem}.claims.csv"


def _tables(config: Path) -> list[Path]:
    return [path for path in _files(config) if path.is_file()]


def _keys(config: SweepConfig) -> set[CellKey]:
    return {(trial.architecture.label, trial.method_label, trial.sparsity) for trial in expand(config)}


def _cells(row: Number | Claim) -> set[CellKey]:
    methods = (row.method, row.reference) if isinstance(row, Claim) else (row.method,)
    return {(row.architecture, method, row.sparsity) for method in methods}


def _check(path: Path, reproduction: Reproduction) -> None:
    grid, data = _keys(reproduction.sweep), reproduction.sweep.data.name
    for row in reproduction.rows:
        for architecture, method, sparsity in sorted(_cells(row) - grid):
            raise InputError(f"{row.where}: {_not_in_grid(architecture, method, sparsity, grid)}: {path}")
    for claim in reproduction.claims:
        if claim.expected == FAIL and data != _EMBEDDED:
            raise InputError(f"{claim.where}: expected: only {_EMBEDDED} may be known to fail, not {data}; remove it")


def _not_in_grid(architecture: str, method: str, sparsity: float, grid: set[CellKey]) -> str:
    """Which part of a cell is not in the grid, with the nearest that is."""
    architectures = sorted({key[0] for key in grid})
    if architecture not in architectures:
        return f"architecture: {architecture!r} is not in the grid ({suggest(architecture, architectures)})"
    methods = sorted({key[1] for key in grid if key[0] == architecture})
    if method not in methods:
        return f"method: {method!r} is not in the grid ({suggest(method, methods)})"
    has = ", ".join(f"{number(key[2])}" for key in sorted(grid) if key[:2] == (architecture, method))
    return f"sparsity: {method} has no {number(sparsity)} in the grid (it has {has})"
