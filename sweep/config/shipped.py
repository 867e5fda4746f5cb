"""The sweeps that come with the program: ``configs`` of a checkout, and a copy of it in an installed package."""

from pathlib import Path

from sweep.errors import InputError
from sweep.text import one_line
from training.suggest import suggest

_PACKAGED = Path(__file__).parents[1] / "configs"  # in a checkout a link to the folder beside the package
_ENDINGS = (".yaml", ".yml")


def folders() -> list[Path]:
    """Where configs are looked up by name: ``./configs``, then those of the package."""
    return list(dict.fromkeys(folder.resolve() for folder in (Path.cwd() / "configs", _PACKAGED)))


def names() -> list[str]:
    """Every name that :func:`find` knows."""
    return sorted({path.stem for folder in folders() for path in folder.glob("*.yaml")})


def find(config: str | Path) -> Path:
    """The file of a config: a path, or the name of a shipped one (``digits``).

    Raises:
        InputError: neither, with the nearest name; or a path to nothing that ends like the path of a shipped one.
    """
    path = Path(config)
    if path.exists() and not path.is_dir():
        return path
    is_name = str(path) == path.name and path.suffix not in _ENDINGS
    stem = path.name if is_name else path.stem
    found = [file for folder in folders() if (file := folder / f"{stem}.yaml").is_file()]
    if is_name and found:
        return found[0]
    if path.exists():
        return path
    shown = one_line(str(path))
    if is_name:
        raise InputError(f"{shown}: there is no such file and no shipped config; {suggest(stem, names())}")
    if found:
        raise InputError(f"{shown}: there is no such file; the shipped one is called {stem} alone, and is {found[0]}")
    return path
