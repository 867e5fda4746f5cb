"""`sweep report --html` and `--watch`, as they are typed, on a disk and on S3."""

import json
import os
import signal
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sweep.records import Outcome, SweepRecord
from sweep.store import Store

from ...conftest import make_outcome
from ..small import sweep

pytestmark = pytest.mark.slow

IDS = [letter * 16 for letter in "abc"]


def outcome(place: int) -> Outcome:
    return make_outcome(IDS[place], seed=place, test_accuracy=0.9 + place / 100, method="force", method_label="force")


def launched(store: Store, *places: int) -> Store:
    """A sweep of three trials, of which these have ended."""
    for place in places:
        store.write(outcome(place))
    store.write_sweep(SweepRecord("mine", "{}", tuple(IDS), datetime.now(UTC)))
    return store


def test_a_watch_reports_each_trial_as_it_ends_and_ends_with_the_last(store: Store, tmp_path: Path) -> None:
    launched(store, 0)
    writer = threading.Timer(1.5, lambda: [store.write(outcome(place)) for place in (1, 2)])
    writer.start()
    result = sweep("report", store.uri, "--out", str(tmp_path / "out"), "--html", "--watch", "--every", "0.2")
    writer.join()
    assert result.code == 0, result.err
    assert "1 completed, 2 missing; no launch runs them: waiting for one" in result.out
    assert "vgg_digits force 50% s1: 91.00%" in result.out and "vgg_digits force 50% s2: 92.00%" in result.out
    assert result.out.count("written: ") >= 2
    page = (tmp_path / "out/report.html").read_text(encoding="utf-8")
    assert "3 of 3" in page and "data-seconds" not in page


def test_ctrl_c_ends_a_watch_with_130_and_keeps_the_last_report(local: Store, tmp_path: Path) -> None:
    launched(local, 0)
    page = tmp_path / "out/report.html"

    def stop() -> None:
        while not page.exists():
            time.sleep(0.05)
        time.sleep(1.0)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=stop, daemon=True).start()
    result = sweep("report", local.uri, "--out", str(tmp_path / "out"), "--html", "--watch")
    assert result.code == 130
    assert f"Stopped; the last report stays: {page}" in result.out
    assert "1 of 3" in page.read_text() and "data-seconds" not in page.read_text()


def test_a_watch_prints_json_alone_to_the_output(local: Store, tmp_path: Path) -> None:
    launched(local, 0, 1, 2)
    result = sweep("report", local.uri, "--out", str(tmp_path / "out"), "--html", "--watch", "--json")
    assert str(tmp_path / "out/report.html") in json.loads(result.out)
    assert "3 completed" in result.err


def test_a_page_needs_no_completed_trial_and_a_plain_report_does(local: Store, tmp_path: Path) -> None:
    launched(local)
    plain = sweep("report", local.uri, "--out", str(tmp_path / "plain"))
    assert plain.code == 2 and not (tmp_path / "plain").exists()
    result = sweep("report", local.uri, "--out", str(tmp_path / "out"), "--html")
    assert result.code == 0 and "report.html" in result.out
    assert "3 missing" in (tmp_path / "out/report.html").read_text()


@pytest.mark.parametrize("options", [["--html"], ["--watch"]])
def test_a_store_that_does_not_exist_is_an_error(tmp_path: Path, options: list[str]) -> None:
    result = sweep("report", str(tmp_path / "nowhere"), *options)
    assert result.code == 2 and "does not exist" in result.err
    assert not (tmp_path / "nowhere").exists()


def test_every_without_watch_is_an_error(local: Store) -> None:
    launched(local, 0)
    result = sweep("report", local.uri, "--every", "5")
    assert result.code == 2 and "--watch" in result.err
