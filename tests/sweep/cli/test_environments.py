"""Commands where the environment lacks something: a time-zone database, UTF-8, a reader of their output."""

import csv
import errno
import os
import pty
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sweep import streams
from sweep.records import TrialRecord, table
from sweep.store import Store
from sweep.store.folding import fold

from ...conftest import make_outcome

MANY_COMMANDS = """
import sys
from sweep.cli import main
for command in sys.argv[1:]:
    try:
        main(command.split(), standalone_mode=False)
    except SystemExit as exit:
        print("exit code", exit.code)
"""
MOMENT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def stored(tmp_path: Path) -> Store:
    """A store of three trials, one of them folded, one failed."""
    store = Store(tmp_path / "results")
    store.write(make_outcome("aaaa000000000000", started=MOMENT))
    fold(store)
    store.write(make_outcome("bbbb000000000000", seed=1, started=MOMENT + timedelta(hours=1)))
    message = "größer als π"
    store.write(make_outcome("cccc000000000000", "failed", error_type="ValueError", error_message=message))
    return store


def run(folder: Path, *commands: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Commands one after another in one process of their own."""
    command = [sys.executable, "-c", MANY_COMMANDS, *commands]
    return subprocess.run(
        command, cwd=folder, env=os.environ | environment, capture_output=True, text=True, timeout=120
    )


@pytest.mark.slow
def test_no_command_needs_a_time_zone_database(stored: Store) -> None:
    """PYTHONTZPATH= is what a minimal container is to Python, where no tzdata is installed."""
    folder = stored.local.parent
    done = run(folder, "status", "failures", "trial show aaaa", "compact", "report", "status", PYTHONTZPATH="")
    assert done.returncode == 0, done.stderr
    assert "2026-01-02 03:04:05 UTC" in done.stdout
    assert done.stdout.count("test: 2 completed, 1 failed") == 2


def test_times_in_memory_need_no_database_and_times_in_files_are_named_utc(stored: Store) -> None:
    """pyarrow looks "UTC" up in two databases, its own for text; "+00:00" in none."""
    offset, utc = pa.timestamp("us", tz="+00:00"), pa.timestamp("us", tz="UTC")
    for rows in (stored.trials(), table(TrialRecord, [make_outcome().trial])):
        assert {field.type for field in rows.schema if pa.types.is_timestamp(field.type)} == {offset}
    files = list((stored.local / "trials").iterdir())
    assert len(files) == 3
    assert {pq.read_schema(file).field("started").type for file in files} == {utc}


@pytest.mark.slow
def test_times_in_a_report_are_text_in_utc(stored: Store) -> None:
    folder = stored.local.parent
    done = run(folder, "report")
    assert done.returncode == 0, done.stderr
    with open(folder / "results/reports/all/trials.csv", newline="") as file:
        times = {row["trial_id"][:4]: row["started"] for row in csv.DictReader(file)}
    assert times == {"aaaa": "2026-01-02 03:04:05.000000Z", "bbbb": "2026-01-02 04:04:05.000000Z", "cccc": ""}


SWEEP = str(Path(sys.executable).with_name("sweep"))
SMALL = [
    "--set", "training.epochs=1", "--set", "grid.seed=0,1,2", "--set", "grid.sparsity=0.9", "--set", "grid.method=snip",
    "--set", "grid.architecture={name: vgg_digits, width: 8, depth: 4}", "--set", "tracking.enabled=false",
]  # fmt: skip
DIGITS = str(Path(__file__).parents[3] / "configs/digits.yaml")


@pytest.mark.slow
def test_what_ascii_lacks_is_printed_in_ascii(stored: Store) -> None:
    folder = stored.local.parent
    commands = ("status", "failures", "report", "trial show aaaa", "methods", "reproduce")
    done = run(folder, *commands, PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert "2x4" in done.stdout  # the shape of a layer
    assert "90.00 +- 0.00 (2)" in done.stdout
    assert "ValueError: gro?er als pi" in done.stdout


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [("ascii", "gro?er ... +-?"), ("latin-1", "größer ... ±?"), ("utf-8", "größer … ±?")],
)
def test_a_character_is_replaced_only_where_the_encoding_lacks_it(encoding: str, shown: str) -> None:
    text = "größer … ±\udcff"  # the last is no character, but a byte of a file's name
    assert text.encode(encoding, errors=streams.HANDLER) == shown.encode(encoding)


@pytest.mark.slow
def test_a_launch_on_a_terminal_without_utf_8_ends_as_its_trials_do(tmp_path: Path) -> None:
    reader, terminal = pty.openpty()
    process = subprocess.Popen(
        [SWEEP, "launch", DIGITS, "--local", *SMALL],
        cwd=tmp_path, env=os.environ | {"PYTHONIOENCODING": "ascii", "TERM": "xterm"}, stdout=terminal, stderr=terminal,
    )  # fmt: skip
    os.close(terminal)
    shown = b""
    with suppress(OSError):  # how a terminal says that its last writer has gone
        while piece := os.read(reader, 65536):
            shown += piece
    os.close(reader)
    assert process.wait(timeout=120) == 0, shown.decode()
    assert shown.decode("ascii").startswith("checking ") and "3/3 done - 0 running" in shown.decode("ascii")


@pytest.mark.slow
def test_a_closed_pipe_ends_the_printing_and_not_the_sweep(tmp_path: Path) -> None:
    command = [SWEEP, "launch", DIGITS, "--local", *SMALL]
    with open(tmp_path / "errors", "w") as errors:
        process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=errors)
        os.read(process.stdout.fileno(), 40)
        process.stdout.close()
        assert process.wait(timeout=120) == 0, (tmp_path / "errors").read_text()
    assert (tmp_path / "errors").read_text() == ""
    assert list(Store(tmp_path / "results").statuses().values()) == ["completed"] * 3


STREAMS = """
import os, subprocess, sys
from contextlib import suppress
from pathlib import Path
from sweep import streams
with streams.tolerant() as errors:
    for line in range(100):
        print("line", line, flush=True)
        print("error", line, file=sys.stderr)
    Path("child").write_text(str(subprocess.run(["echo", "of a child"]).returncode))
    with open("ours", "w") as file:
        with suppress(BrokenPipeError):
            os.write(1, b"somebody's")
        file.write("ours")
Path("errors").write_text(" ".join(str(error.errno) for error in errors))
sys.exit(7)
"""


@pytest.mark.parametrize(
    ("redirection", "errors"),
    [("| true", ""), ("2>&1 | head -n 1", ""), (">/dev/full", str(errno.ENOSPC)), (">&- 2>&-", ""), (">all", "")],
)
def test_work_goes_on_whatever_becomes_of_its_output(redirection: str, errors: str, tmp_path: Path) -> None:
    command = f"""'{sys.executable}' -c "$CODE" {redirection}; exit ${{PIPESTATUS[0]}}"""
    environment = os.environ | {"CODE": STREAMS, "PYTHONPATH": str(Path(__file__).parents[3])}
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 7, done.stderr
    assert (tmp_path / "errors").read_text() == errors
    assert (tmp_path / "ours").read_text() == "ours"
    assert (tmp_path / "child").read_text() == "0" or "|" in redirection  # whose reader may go at any moment
    assert "Traceback" not in done.stderr and "BrokenPipe" not in done.stderr


def test_output_that_a_full_disk_does_not_take_is_an_error_and_one_that_nobody_reads_is_none(tmp_path: Path) -> None:
    command = f"'{SWEEP}' completion bash >/dev/full; echo $?; '{SWEEP}' --help | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.split() == ["1", "0"]
    assert done.stderr == "error: cannot write the output: No space left on device\n"
