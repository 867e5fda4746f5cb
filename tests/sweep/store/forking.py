"""Imports the store once; then forks a process for each line of its input, which says in JSON what code to run."""

import json
import os
import pickle
import signal
import sys
import traceback
from pathlib import Path

ROOT = Path(__file__).parents[3]
sys.path[:1] = [str(ROOT), str(ROOT / "tests")]

import random  # noqa: E402
import time  # noqa: E402

from conftest import make_outcome  # type: ignore[import-not-found]  # noqa: E402

from sweep.errors import InputError, StoreError  # noqa: E402
from sweep.store import Store, folding, leases  # noqa: E402
from sweep.store.claims import Claims  # noqa: E402
from sweep.store.files import Files  # noqa: E402
from sweep.store.folding import fold  # noqa: E402
from sweep.store.leases import Leases  # noqa: E402

NAMES = {
    "random": random, "time": time, "os": os, "Path": Path, "make_outcome": make_outcome, "InputError": InputError,
    "StoreError": StoreError, "Claims": Claims, "Store": Store, "folding": folding, "leases": leases, "Files": Files,
    "fold": fold, "Leases": Leases,
}  # fmt: skip


def run(code: str, names: dict, out: str) -> None:
    """Run it, and leave what came of it in a file that is there whole or not at all."""
    random.seed(os.getpid())
    names = NAMES | names
    try:
        exec(code, names)
        found = True, names.get("result")
    except BaseException:
        found = False, traceback.format_exc()
    Path(out + ".part").write_bytes(pickle.dumps(found))
    os.replace(out + ".part", out)


signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # whoever ends is gone at once
for line in sys.stdin:
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        run(**json.loads(line))
        os._exit(0)
    print(pid, flush=True)
