"""Commands where the environment lacks something: a time-zone database, UTF-8, a reader of their output."""

import csv
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sweep.records import TrialRecord, table
from sweep.store import Store
from sweep.store.folding import fold

from ..conftest import make_outcome

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


def test_times_in_a_report_are_text_in_utc(stored: Store) -> None:
    folder = stored.local.parent
    done = run(folder, "report")
    assert done.returncode == 0, done.stderr
    with open(folder / "results/reports/all/trials.csv", newline="") as file:
        times = {row["trial_id"][:4]: row["started"] for row in csv.DictReader(file)}
    assert times == {"aaaa": "2026-01-02 03:04:05.000000Z", "bbbb": "2026-01-02 04:04:05.000000Z", "cccc": ""}
