"""Commands in processes of their own that need not import torch first: forked from one that has. A third of the time."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

STARTER = """
import json, os, select, sys
import sweep.engines.inline, sweep.engines.processes, sweep.launch.run, sweep.cli.print.launches, sweep.cli.print.status, sweep.store.verify
from sweep.cli import main

def run(asked):
    os.setsid()
    os.chdir(asked["folder"])
    os.environ.update(asked["environment"])
    sys.path[:0] = asked["environment"]["PYTHONPATH"].split(os.pathsep)
    for number, file in enumerate((os.open(os.devnull, os.O_RDONLY), *[os.open(asked["output"], os.O_WRONLY)] * 2)):
        os.dup2(file, number)
    main(asked["arguments"])

names = {}
while True:
    if select.select([sys.stdin], [], [], 0.01)[0]:
        line = sys.stdin.readline()
        if not line:
            break
        asked = json.loads(line)
        child = os.fork()
        if child == 0:
            run(asked)
        names[child] = asked["ended"]
        print(child, flush=True)
    if names:
        child, status = os.waitpid(-1, os.WNOHANG)
        if child:
            with open(names[child] + ".part", "w") as file:
                file.write(str(os.waitstatus_to_exitcode(status)))
            os.replace(names[child] + ".part", names.pop(child))
"""


class Starter:
    """A process that has imported what commands need, and forks one for each."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", STARTER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )  # fmt: skip

    def start(self, arguments: list[str], folder: Path, environment: dict[str, str], output: Path) -> "Child":
        """Start ``sweep ARGUMENTS`` in a process group of its own."""
        output.touch()
        ended = output.with_name(f"{output.name}.ended")
        asked = {"arguments": arguments, "folder": str(folder), "environment": environment}
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(asked | {"output": str(output), "ended": str(ended)}) + "\n")
        self._process.stdin.flush()
        return Child(int(self._process.stdout.readline()), ended)

    def end(self) -> None:
        """End it, its children having ended."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=10)
        self._process.stdout.close()


class Child:
    """What subprocess.Popen is of a child of one's own."""

    def __init__(self, pid: int, ended: Path):
        self.pid, self._ended = pid, ended
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """How it ended, if it has."""
        if self.returncode is None and self._ended.exists():
            self.returncode = int(self._ended.read_text())
        return self.returncode

    def wait(self, timeout: float = 300.0) -> int:
        """How it ended, once it has."""
        deadline = time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired("sweep", timeout)
            time.sleep(0.01)
        return code

    def terminate(self) -> None:
        """SIGTERM, if it still runs."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL, if it still runs."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
