"""report.html asks for nothing, runs no text of a record, and is written whatever the trials are."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest

from sweep.errors import InputError
from sweep.records import FAILED, SweepRecord, TrialRecord
from sweep.report import ReportFiles, report, write_report
from sweep.report.page import stop_reloading
from sweep.report.page.images import Room, data_uri
from sweep.store import Store
from sweep.store.leases import Leases

from .conftest import MakeStore, named, trial
from .many import EVIL, stored


class Elements(HTMLParser):
    """The tags of a page with their attributes, and its text without scripts."""

    def __init__(self, page: str):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.texts.append(data)

    def named(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures, which take seconds, are left out."""
    monkeypatch.setattr(report, "_draw", lambda *arguments, **options: [])


of_texts = pytest.mark.usefixtures("undrawn")


def page_of(store: Store, out: Path, **options) -> str:
    files = write_report([store], out, html=True, **options)
    return files.page.read_text(encoding="utf-8")


def rows(page: str) -> list[dict[str, object]]:
    """The table of trials as its script reads it."""
    [columns] = re.findall(r'<script type="application/json" id="trial-data">(.*?)</script>', page, re.DOTALL)
    table = {
        column["key"]: [
            column["levels"][value] if column["levels"] and value is not None else value for value in column["values"]
        ]
        for column in json.loads(columns)
    }
    return [dict(zip(table, values, strict=True)) for values in zip(*table.values(), strict=True)]


def planned(store: Store, *trial_ids: str, name: str = "mine") -> None:
    record = SweepRecord(name, json.dumps({"name": name, "grid": {"seed": [0]}}), trial_ids, datetime.now(UTC), EVIL)
    store.write_sweep(record)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> ReportFiles:
    """A report with figures, which take seconds."""
    folder, made = tmp_path_factory.mktemp("drawn"), []
    for method, height in (("dense", 0.9), ("snip", 0.6), ("force", 0.8)):
        made += [trial(method, 0.99 if method != "dense" else 0.0, seed, height + seed / 100) for seed in (0, 1)]
    return write_report([stored(Store(folder / "store"), made)], folder / "out", html=True)


def test_a_page_asks_for_no_file_and_no_address(drawn: ReportFiles) -> None:
    page = drawn.page.read_text(encoding="utf-8")
    elements = Elements(page)
    addresses = [tag[name] for _, tag in elements.tags for name in ("src", "href", "action", "srcset") if name in tag]
    assert len(addresses) > 5
    assert all(address.startswith(("data:", "#")) for address in addresses)
    without_figures = re.sub(r'src="data:[^"]*"', "", page)
    assert not re.search(r"url\(|@import|fetch\(|XMLHttpRequest|//", re.sub(r"(?m)(^|  )// .*", "", without_figures))
    [policy] = [tag["content"] for tag in elements.named("meta") if "http-equiv" in tag]
    assert policy.startswith("default-src 'none'; img-src data:;") and "unsafe" not in policy


def test_every_figure_of_the_report_is_on_the_page_with_its_description(drawn: ReportFiles) -> None:
    images = Elements(drawn.page.read_text(encoding="utf-8")).named("img")
    pngs = [path for path in drawn.figures if path.suffix == ".png"]
    assert len(images) == len(pngs) > 0
    assert {image["src"] for image in images} == {data_uri([path, path.with_suffix(".svg")]) for path in pngs}
    assert all("CIFAR-10, ResNet-20" in image["alt"] for image in images)


def test_figures_beyond_the_limit_are_named_instead_of_embedded(drawn: ReportFiles) -> None:
    png = drawn.figures[0]
    room = Room(len(data_uri([png])) + 10)
    first, second = room.image([png], "first"), room.image([png], "second")
    assert first.source and not second.source
    assert second.file == png.name


@of_texts
def test_the_table_has_every_trial_with_the_numbers_of_its_record(sweep_store: Store, tmp_path: Path) -> None:
    table = {row["trial_id"]: row for row in rows(page_of(sweep_store, tmp_path / "out"))}
    records = sweep_store.trials().to_pylist()
    assert table.keys() == {record["trial_id"] for record in records}
    for record in records:
        row = table[record["trial_id"]]
        assert row["test_accuracy"] == round(100 * record["test_accuracy"], 2)
        assert row["seed"] == str(record["seed"]) and row["sparsity"] == f"{100 * record['sparsity']:g}%"
        at_chance = record["test_accuracy"] <= 0.145
        assert row["status"] == ("completed, at chance" if at_chance else "completed")


@of_texts
def test_no_text_of_a_record_becomes_an_element(store: MakeStore, tmp_path: Path) -> None:
    evil = dict.fromkeys(("error_type", "error_message", "traceback", "host", "device", "git_commit"), EVIL)
    lost = replace(trial("snip", 0.99, 0, None, sweep=EVIL, **evil), status=FAILED)
    labels = {"architecture_label": EVIL, "architecture": EVIL, "data": EVIL, "data_fingerprint": EVIL}
    strange = trial(
        "<script>", 0.99, 1, 0.9, method_label=f"<script> {EVIL}", versions=json.dumps({EVIL: EVIL}), **labels
    )
    made = store("a", [trial("force", 0.99, seed, 0.8) for seed in (0, 1, 2)] + [lost, strange])
    planned(made, lost.trial_id, strange.trial_id)
    page = page_of(made, tmp_path / "out")
    elements = Elements(page)
    assert len(elements.named("script")) == 2  # the values of the table and the page's own
    assert all(image["src"].startswith("data:image/") for image in elements.named("img"))
    assert not any(name.startswith("on") for _, tag in elements.tags for name in tag)
    assert elements.text.count(EVIL) > 8
    assert "{{ 7 * 7 }}" in elements.text
    assert [row["data"] for row in rows(page)].count(EVIL) == 1


@of_texts
def test_the_page_of_a_sweep_without_a_result_says_how_far_it_is(store: MakeStore, tmp_path: Path) -> None:
    made = store("a", [trial("snip", 0.99, 0, None, status=FAILED, error_type="ValueError", error_message="no")])
    planned(made, named("snip-0.99-0"), *(letter * 16 for letter in "abc"))
    with pytest.raises(InputError, match="no completed trial"):
        write_report([made], tmp_path / "plain", sweep="mine")
    text = Elements(page_of(made, tmp_path / "out", sweep="mine")).text
    assert "No trial has completed yet: 1 failed, 3 missing." in text
    assert "0 of 4" in text and "ValueError: no" in text and "sweep retry --kind code" in text


@of_texts
def test_the_page_of_a_store_without_a_trial_says_so(store: MakeStore, tmp_path: Path) -> None:
    made = store("a", [])
    planned(made, "a" * 16)
    files = write_report([made], tmp_path / "out", html=True)
    text = Elements(files.page.read_text(encoding="utf-8")).text
    assert "No trial has completed yet: 1 missing." in text and "No trial is stored." in text
    assert (
        files.summary_csv.read_text().startswith("data_name,") and len(files.summary_csv.read_text().splitlines()) == 1
    )


@of_texts
def test_an_unknown_sweep_is_an_error_with_a_page_too(sweep_store: Store, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no trial of a sweep named 'other'; it holds: hand"):
        write_report([sweep_store], tmp_path / "out", sweep="other", html=True)
    assert not (tmp_path / "out").exists()


@of_texts
def test_the_page_counts_running_and_missing_trials_of_the_sweep(sweep_store: Store, tmp_path: Path) -> None:
    stored = sweep_store.trials()["trial_id"].to_pylist()
    planned(sweep_store, *stored, "a" * 16, "b" * 16)
    with Leases(sweep_store.files).held() as leases:
        assert leases.claim("a" * 16) is None
        text = Elements(page_of(sweep_store, tmp_path / "out", sweep="mine")).text
    assert f"{len(stored)} completed, 1 running, 1 missing." in text


@of_texts
def test_secrets_of_addresses_are_hidden(store: MakeStore, tmp_path: Path) -> None:
    lost = trial(
        "snip", 0.99, 0, None, status=FAILED, error_type="OSError", error_message="s3://me:pw@host/a?secret_key=9"
    )
    page = page_of(store("a", [trial("force", 0.99, 0, 0.8), lost]), tmp_path / "out")
    assert "me:pw" not in page and "secret_key=9" not in page and "s3://***@host/a?secret_key=***" in page


@of_texts
def test_the_cost_of_a_method_is_the_sum_over_its_trials(store: MakeStore, tmp_path: Path) -> None:
    def timed(seed: int, seconds: float, **facts: object) -> TrialRecord:
        return trial("force", 0.99, seed, 0.8, seconds=seconds, prune_seconds=30.0, training_flops=1.5e9, **facts)

    made = store("a", [timed(0, 600.0), timed(1, 900.0), trial("snip", 0.99, 0, 0.8, seconds=45.2, prune_seconds=1.25)])
    text = Elements(page_of(made, tmp_path / "out")).text
    assert "FORCE 2 25.0 min 1.0 min 12.5 min 3e+09 10" in text
    assert "SNIP 1 45 s 1.2 s 45 s – 5" in text
    assert "all 3 25.8 min 1.0 min 8.6 min 3e+09 15" in text


@of_texts
def test_a_page_that_reloads_itself_can_be_stopped(sweep_store: Store, tmp_path: Path) -> None:
    files = write_report([sweep_store], tmp_path / "out", html=True, reload_seconds=10)
    assert 'data-seconds="10"' in files.page.read_text()
    stop_reloading(files.page)
    text = files.page.read_text()
    assert "data-seconds" not in text and Elements(text).text.count("All trials") == 2
    stop_reloading(files.page)
    assert files.page.read_text() == text


@of_texts
def test_a_later_report_without_a_page_leaves_the_page(sweep_store: Store, tmp_path: Path) -> None:
    page = write_report([sweep_store], tmp_path / "out", html=True).page
    write_report([sweep_store], tmp_path / "out")
    assert page.exists()


@of_texts
def test_methods_are_compared_over_all_cells_too(sweep_store: Store, tmp_path: Path) -> None:
    # at 90 % and 99 %: force 0.91 and 0.86, random 0.81 and 0.35, snip 0.905 and 0.1: ranks 1 and 1, 3 and 2, 2 and 3
    text = Elements(page_of(sweep_store, tmp_path / "out")).text
    table = text.partition("average rank P(above Random)")[2]
    ranks = {
        name: float(re.search(rf"{name} [\d.]+ \[[\d.]+, [\d.]+\] ([\d.]+)", table)[1])
        for name in ("Random", "SNIP", "FORCE")
    }
    assert ranks == {"Random": 2.5, "SNIP": 2.5, "FORCE": 1.0}


def test_the_page_names_masks_that_ties_decided_and_names_that_the_figures_cut(
    store: MakeStore, tmp_path: Path
) -> None:
    label = f"force {' '.join(f'option{i}={i}' for i in range(8))}"
    trials = [trial("force", 0.9, seed, 0.8, method_label=label) for seed in range(2)]
    tied = trial("snip", 0.9, 0, 0.8, kept=1000, tied_kept=900, tied_candidates=5000)
    text = Elements(page_of(store("a", [*trials, tied]), tmp_path / "out")).text
    assert "Masks that scores alone did not decide resnet20 snip: 1 trials; at 90%, seed 0:" in text
    assert re.search(r"Names that the figures cut FORCE, option0=0.{0,40}: FORCE, option0=0, option1=1,", text)
