"""Python's garbage collector is out of the way of imports, and as usual for trials."""

import json
import subprocess
import sys

import pytest

CODE = """
import gc, json
import pytest
from sweep.cli import main
found = [gc.get_threshold()]
try:
    main(["methods"])
except SystemExit:
    found.append(gc.get_threshold())
from sweep.trial.attempts import renew
renew()
found += [gc.get_threshold(), gc.get_freeze_count() > 100_000]
print("\\n" + json.dumps(found))
"""


@pytest.mark.slow
def test_a_command_imports_without_collecting_and_trials_are_collected_as_usual() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    usual, imports, trials, frozen = json.loads(done.stdout.splitlines()[-1])
    assert imports[0] > 100 * usual[0] and trials == usual and frozen
