"""report.html in a browser: it sorts, filters, asks for nothing, fits a phone, prints, and shows the records' numbers."""

import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from scipy import stats

from sweep.records import TrialRecord
from sweep.report import report, write_report
from sweep.store import Store
from tests.browser import Visit, visit
from tests.once import folder_made_once

from .many import METHODS, SPARSITIES, many, stored

pytestmark = [pytest.mark.browser, pytest.mark.slow]

ROWS = 100  # that the table shows at once


@pytest.fixture(scope="module")
def records() -> list[TrialRecord]:
    return list(many(10))


@pytest.fixture(scope="module")
def page(records: list[TrialRecord], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a thousand trials."""

    def write(folder: Path) -> None:
        write_report([stored(Store(folder / "store"), records)], folder / "out", html=True)

    return folder_made_once(tmp_path_factory, "page", write) / "out/report.html"


@pytest.fixture(scope="module")
def wide(page: Path) -> Iterator[Visit]:
    with visit(page.as_uri()) as seen:
        yield seen


@pytest.fixture
def fresh(wide: Visit) -> Any:
    """The page with nothing chosen."""
    wide.page.click("button[type=reset]")
    return wide.page


def column(page: Any, name: str) -> list[str]:
    """The shown texts of a column."""
    return page.evaluate(
        """name => {
            const table = document.getElementById("trial-table");
            const texts = [...table.tHead.rows[0].cells].map((cell) => cell.textContent);
            const index = texts.indexOf(name);
            return [...table.tBodies[0].rows].map((row) => row.cells[index].textContent);
        }""",
        name,
    )


def heading(page: Any, name: str) -> Any:
    return page.locator("#trial-table thead th", has_text=name)


def count(page: Any) -> str:
    return page.inner_text("#trial-count")


def test_a_page_of_a_thousand_trials_is_small_and_asks_for_nothing(page: Path, wide: Visit) -> None:
    assert page.stat().st_size <= 5_000_000
    assert wide.errors == []
    assert {request for request in wide.requests if not request.startswith("data:")} == {page.as_uri()}
    assert wide.page.evaluate("window.hacked") is None
    assert wide.page.evaluate("[...document.images].every((image) => image.complete && image.naturalWidth > 0)")


def test_only_a_window_of_the_rows_is_in_the_document(fresh: Any) -> None:
    assert len(column(fresh, "Trial")) == ROWS and count(fresh) == "1–100 of 1,000 trials"
    fresh.click("#trial-later")
    assert count(fresh) == "101–200 of 1,000 trials"
    fresh.click("#trial-earlier")
    assert fresh.is_disabled("#trial-earlier") and count(fresh) == "1–100 of 1,000 trials"


def test_a_heading_sorts_in_both_directions_and_says_so(fresh: Any, records: list[TrialRecord]) -> None:
    accuracies = sorted(record.test_accuracy for record in records if record.test_accuracy is not None)
    name = "Test accuracy, %"
    fresh.click(f"#trial-table thead button:text-is('{name}')")
    assert column(fresh, name) == [f"{100 * value:.2f}" for value in accuracies[:ROWS]]
    assert heading(fresh, name).get_attribute("aria-sort") == "ascending"
    fresh.click(f"#trial-table thead button:text-is('{name}')")
    assert column(fresh, name) == [f"{100 * value:.2f}" for value in accuracies[::-1][:ROWS]]
    assert heading(fresh, name).get_attribute("aria-sort") == "descending"
    assert heading(fresh, "Seed").get_attribute("aria-sort") == "none"


def test_a_heading_sorts_by_the_keyboard(fresh: Any) -> None:
    fresh.focus("#trial-table thead button:text-is('Sparsity')")
    fresh.keyboard.press("Enter")
    fresh.keyboard.press("Enter")
    assert set(column(fresh, "Sparsity")) == {"99.5%"}


def test_trials_without_a_result_are_last_in_both_directions(fresh: Any) -> None:
    fresh.select_option("select[name=method]", label="PHEW")
    fresh.select_option("select[name=sparsity]", label="99%")
    for _ in range(2):
        fresh.click("#trial-table thead button:text-is('Test accuracy, %')")
        shown = column(fresh, "Test accuracy, %")
        assert shown[-2:] == ["", ""] and "" not in shown[:-2]


def test_lists_and_the_search_filter_the_rows(fresh: Any) -> None:
    fresh.select_option("select[name=method]", label="FORCE")
    assert count(fresh) == "1–100 of 100 trials, of 1,000 in all"
    fresh.select_option("select[name=sparsity]", label="99%")
    fresh.fill("input[type=search]", "resnet-20")
    assert count(fresh) == "1–10 of 10 trials, of 1,000 in all"
    assert set(column(fresh, "Method")) == {"FORCE"} and set(column(fresh, "Network")) == {"ResNet-20"}
    fresh.fill("input[type=search]", "no such text")
    assert count(fresh) == "0 trials, of 1,000 in all"
    fresh.click("button[type=reset]")
    assert count(fresh) == "1–100 of 1,000 trials"


def test_a_search_finds_a_trial_and_an_error(fresh: Any, records: list[TrialRecord]) -> None:
    fresh.fill("input[type=search]", records[437].trial_id)
    assert column(fresh, "Trial") == [records[437].trial_id]
    fresh.fill("input[type=search]", "outofmemoryerror <script>")
    assert column(fresh, "Status") == ["failed", "failed"]


def test_what_was_chosen_outlives_a_reload(fresh: Any) -> None:
    fresh.select_option("select[name=method]", label="SNIP")
    fresh.click("#trial-table thead button:text-is('Seed')")
    fresh.reload()
    assert set(column(fresh, "Method")) == {"SNIP"}
    assert heading(fresh, "Seed").get_attribute("aria-sort") == "ascending"


def test_every_row_has_the_numbers_of_its_record(fresh: Any, records: list[TrialRecord]) -> None:
    by_id = {record.trial_id: record for record in records}
    seen = 0
    while True:
        names = ("Test accuracy, %", "Validation accuracy, %", "Weights kept", "Seconds", "Seed", "FLOPs, × dense")
        for trial, *texts in zip(column(fresh, "Trial"), *(column(fresh, name) for name in names), strict=True):
            record = by_id[trial]
            assert texts == [
                "" if record.test_accuracy is None else f"{100 * record.test_accuracy:.2f}",
                f"{100 * record.validation_accuracy:.2f}",
                f"{record.kept:,}",
                f"{record.seconds:.1f}",
                str(record.seed),
                f"{record.training_flops_share:.3f}",
            ]
            seen += 1
        if fresh.is_disabled("#trial-later"):
            break
        fresh.click("#trial-later")
    assert seen == len(by_id) == 1000


def test_headlines_have_the_numbers_of_a_second_computation(wide: Visit, records: list[TrialRecord]) -> None:
    trained = {
        (r.method, r.sparsity, r.seed): 100 * r.test_accuracy
        for r in records
        if r.architecture == "vgg19" and r.test_accuracy is not None and r.test_accuracy > 0.145
    }
    section = wide.page.locator("section", has=wide.page.locator("h2", has_text="VGG-19"))
    headlines = [text.replace("\u00a0", " ") for text in section.locator(".findings dd > p").all_inner_texts()]
    tops, values, order = {}, {}, []
    for sparsity in SPARSITIES:
        by_method = {
            method: [trained[method, sparsity, seed] for seed in range(10) if (method, sparsity, seed) in trained]
            for method in METHODS
        }
        candidates = [m for m in METHODS if len(by_method[m]) == (9 if (m, sparsity) == ("phew", 0.99) else 10)]
        top = max(candidates, key=lambda method: statistics.fmean(by_method[method]))
        tops[sparsity] = (top, by_method[top])
        for method in candidates:
            if method != top:
                pairs = [
                    trained[top, sparsity, seed] - trained[method, sparsity, seed]
                    for seed in range(10)
                    if {(top, sparsity, seed), (method, sparsity, seed)} <= trained.keys()
                ]
                values[sparsity, method] = pairs
                order.append((sparsity, method))
    holm = dict(zip(order, _holm([stats.ttest_1samp(values[key], 0).pvalue for key in order]), strict=True))
    for sparsity, headline in zip(SPARSITIES, headlines, strict=True):
        _, accuracies = tops[sparsity]
        low, high = _interval(accuracies)
        assert f"{statistics.fmean(accuracies):.2f}% [{low:.2f}, {high:.2f}], n = {len(accuracies)}" in headline
        beaten = [key for key in order if key[0] == sparsity and holm[key] <= 0.05]
        nearest = values[min(beaten, key=lambda key: statistics.fmean(values[key]))]
        low, high = _interval(nearest)
        digits = 1 if high - low >= 2 else 2
        shown = f"by {statistics.fmean(nearest):.{digits}f} points [{low:.{digits}f}, {high:.{digits}f}], n = {len(nearest)}"
        assert shown in headline
    assert "SNIP: 4 of 10 runs at chance" in headlines[-1] and "Random: 4 of 10 runs at chance" in headlines[-1]


def _interval(values: list[float]) -> tuple[float, float]:
    error = statistics.stdev(values) / len(values) ** 0.5
    return stats.t.interval(0.95, len(values) - 1, statistics.fmean(values), error)


def _holm(p_values: list[float]) -> list[float]:
    """Step down: the i-th smallest of m times m − i, never less than the one before."""
    corrected, highest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda place: p_values[place])):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[place]))
        corrected[place] = highest
    return corrected


def test_tables_of_accuracies_have_the_means_of_the_records(wide: Visit, records: list[TrialRecord]) -> None:
    section = wide.page.locator("section", has=wide.page.locator("h2", has_text="ResNet-20"))
    rows = section.locator("table").first.locator("tbody tr")
    for row, method in zip(rows.all(), METHODS, strict=True):
        for text, sparsity in zip(row.locator("td").all_inner_texts(), SPARSITIES, strict=True):
            values = [
                100 * r.test_accuracy
                for r in records
                if (r.architecture, r.method, r.sparsity) == ("resnet20", method, sparsity)
                and r.test_accuracy is not None
                and r.test_accuracy > 0.145
            ]
            assert text.startswith(f"{statistics.fmean(values):.2f} ± {statistics.stdev(values):.2f} ({len(values)})")


def test_everything_that_is_operated_has_a_name_and_every_table_a_caption(wide: Visit) -> None:
    unnamed = wide.page.evaluate(
        """() => [...document.querySelectorAll("button, input, select, table, img, [role=region], nav, section")]
            .filter((e) => !(e.textContent.trim() && e.tagName === "BUTTON") && !e.closest("label") && !e.alt
                && !e.caption && !e.getAttribute("aria-label") && !e.getAttribute("aria-labelledby"))
            .map((e) => e.outerHTML.slice(0, 100))"""
    )
    assert unnamed == []


def test_a_phone_shows_it_without_scrolling_sideways(fresh: Any, wide: Visit) -> None:
    fresh.set_viewport_size({"width": 390, "height": 844})
    fresh.reload()
    fresh.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
    assert fresh.evaluate("document.documentElement.scrollWidth") == 390
    wider = fresh.evaluate(
        """() => [...document.querySelectorAll("main *, header *")].filter((e) => !e.closest(".scroll, pre")
            && e.getBoundingClientRect().right > innerWidth + 1).map((e) => e.outerHTML.slice(0, 100))"""
    )
    assert wider == []
    assert fresh.evaluate("document.querySelector('.tall').scrollWidth") > 390
    fresh.select_option("select[name=method]", label="FORCE")
    assert set(column(fresh, "Method")) == {"FORCE"}
    fresh.set_viewport_size({"width": 1280, "height": 900})
    fresh.reload()
    assert wide.errors == []


def test_paper_shows_folded_parts_and_no_controls(wide: Visit, tmp_path: Path) -> None:
    wide.page.emulate_media(media="print")
    assert not wide.page.is_visible("#trial-filter") and not wide.page.is_visible("nav")
    wide.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert wide.page.evaluate("[...document.querySelectorAll('details.printed')].every((part) => part.open)")
    wide.page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert not wide.page.evaluate("[...document.querySelectorAll('details.printed')].some((part) => part.open)")
    assert len(wide.page.pdf(path=tmp_path / "page.pdf", format="A4")) > 50_000
    wide.page.emulate_media(media="screen")


def test_a_page_of_a_running_sweep_loads_itself_again_until_told_otherwise(
    wide: Visit, sweep_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "_draw", lambda *arguments, **options: [])
    path = write_report([sweep_store], tmp_path / "out", html=True, reload_seconds=1).page
    page, loads = wide.page.context.browser.new_page(), []
    page.on("load", lambda _: loads.append(1))
    page.goto(path.as_uri())
    page.wait_for_event("load", timeout=5000)
    page.click("#reload")
    assert page.inner_text("#reload") == "Reload again"
    page.wait_for_timeout(1300)
    assert len(loads) == 2
    page.close()
