"""``python -m sweep``: the command ``sweep``."""

import os
import sys
from pathlib import Path


def _forget_working_folder() -> None:
    """Remove the working folder from the path unless it is our own: a folder ``pruning`` there would hide ours."""
    if sys.path[0] in ("", os.getcwd()) and Path(__file__).resolve().parents[1] != Path.cwd().resolve():
        del sys.path[0]


if __name__ == "__main__":
    _forget_working_folder()
    from sweep.cli import main

    main(prog_name="sweep")
