"""Narrow terminals: no id, name, option or number is shortened, whatever the width."""

import io
import re
from types import SimpleNamespace

import click
import pytest
from click.testing import CliRunner
from rich.console import Console
from rich.text import Text

from sweep.cli import main
from sweep.cli.common import SECTIONS
from sweep.cli.print import catalogue, launches, reports, trials
from sweep.cli.print import status as print_status
from sweep.config.config import read_sweep
from sweep.failures import group
from sweep.launch.budget.budget import budget
from sweep.launch.plan import plan
from sweep.launch.preflight import check_grid
from sweep.launch.rerun import Comparison
from sweep.report import accuracy_table, panels
from sweep.report.terminal import Fitting, render
from sweep.store import Store
from sweep.store.status import status_of

from ...conftest import make_outcome

NETWORK = "my_package.networks.wide_and_deep:build_for_small_images width=64 depth=28"
METHOD = "my_package.scores.curvature:score temperature=200 fresh_weights=true rounds=300"
HASH = "0123456789abcdef" * 4
WIDTHS = pytest.mark.parametrize("width", [60, 80])


def printed(width: int, show) -> str:
    """What a function prints on a terminal of this width."""
    console = Console(file=io.StringIO(), force_terminal=True, no_color=True, width=width, highlight=False)
    show(console)
    return re.sub(r"\x1b\[[0-9;]*m", "", console.file.getvalue())  # type: ignore[attr-defined]


def has(text: str, *parts: str) -> bool:
    """Whether all parts are there, however they are broken into lines, and nothing is cut."""
    joined = "".join(text.split())
    return "…" not in text and all("".join(part.split()) in joined for part in parts)


@pytest.fixture
def store(tmp_path) -> Store:
    """Trials with long names: one that completed, one that failed."""
    made = Store(tmp_path / ("a_store_with_a_long_name_" * 3))
    facts = {"architecture_label": NETWORK, "method_label": METHOD, "sparsity": 0.99951, "sweep": "a-sweep"}
    made.write(make_outcome("a" * 16, initial_weights_hash=HASH, macs_dense=123_456_789_012, seconds=1.5, **facts))
    message = "a shape of [128, 3, 32, 32] in the method's own code " * 8
    failed = {"test_accuracy": None, "error_type": "RuntimeError", "error_message": message, "host": "a" * 63}
    made.write(make_outcome("b" * 16, "failed", **facts, **failed))
    return made


@WIDTHS
def test_status_and_failures_have_whole_ids_and_names(width, store):
    found = [status_of(store, "a-sweep", ["a" * 16, "b" * 16])]
    assert has(printed(width, lambda out: print_status.status(out, found, store)), "b" * 16, NETWORK, METHOD, "99.951%")
    groups = group(store.trial("b" * 16) for _ in range(1))
    text = printed(width, lambda out: print_status.failures(out, groups, store))
    assert "".join(store.name.split()) in "".join(text.split())
    assert has(text.replace(" … ", ""), "b" * 16, NETWORK, METHOD, "99.951%")


@WIDTHS
def test_a_trial_begins_with_its_accuracy_and_has_whole_hashes_and_numbers(width, store):
    record = store.trial("a" * 16)
    text = printed(width, lambda out: trials.trial(out, store, record))
    assert "test accuracy 90.00 %" in "".join(text.partition("outcome")[0])
    assert has(text, "a" * 16, NETWORK, METHOD, HASH, "123,456,789,012", "0.99951")
    assert max(map(len, text.splitlines())) <= width


@WIDTHS
def test_a_failed_trial_begins_with_how_it_ended(width, store):
    record = store.trial("b" * 16)
    text = printed(width, lambda out: trials.trial(out, store, record))
    assert "failed (RuntimeError)" in text.partition("outcome")[0]


@WIDTHS
def test_a_rerun_shows_whole_values(width):
    found = [Comparison("initial_weights_hash", HASH, HASH[::-1])]
    assert has(printed(width, lambda out: trials.comparisons(out, found)), HASH, HASH[::-1])


@WIDTHS
def test_a_table_of_accuracies_has_every_method_sparsity_and_number(width, store):
    record = store.trial("a" * 16)
    records = [
        SimpleNamespace(**vars(record) | {"sparsity": s, "trial_id": f"{i:016}"})
        for i, s in enumerate((0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999))
    ]
    [panel] = panels([type(record)(**vars(one)) for one in records])
    text = printed(width, lambda out: out.print(render(accuracy_table(panel))))
    assert has(text, "temperature=200", "rounds=300", "90%", "95%", "98%", "99%", "99.5%", "99.8%", "99.9%")
    assert text.count("90.00 (1)") == 7
    assert max(map(len, text.splitlines())) <= width


@WIDTHS
def test_methods_networks_and_experiments_are_whole(width):
    for rows, show, names in (
        (catalogue.method_rows()[0], catalogue.methods, "method"),
        (catalogue.architecture_rows(), catalogue.architectures, "architecture"),
        (catalogue.reproduction_rows(), catalogue.reproductions, "name"),
    ):
        text = printed(width, lambda out, show=show, rows=rows: show(out, rows))
        assert has(text, *(str(row[names]) for row in rows))
        assert max(map(len, text.splitlines())) <= width
    options = printed(width, lambda out: catalogue.architectures(out, catalogue.architecture_rows()))
    assert has(options, "25,502,912", "143,652,544", "init=kaiming_normal")


@pytest.fixture
def planned(tmp_path):
    settings = [
        "grid.method=[dense, {name: force, rounds: 300, scope: uniform_plus}]", "grid.sparsity=0.99951,0.9",
        "grid.seed=0,1,2,5", f"store={tmp_path / 'results'}",
    ]  # fmt: skip
    sweep = read_sweep("digits", settings)
    first, *_ = plan(sweep, Store(sweep.store)).trials
    Store(sweep.store).write(make_outcome(first))
    return plan(sweep, Store(sweep.store))


@WIDTHS
def test_a_plan_has_a_line_a_method_and_sparsity_and_with_ids_a_line_a_trial(width, planned):
    grid = check_grid(planned.sweep)
    found = budget(planned, Store(planned.sweep.store), grid.networks)
    text = printed(width, lambda out: launches.plan(out, planned, grid, found, "digits"))
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert sum(line.endswith("to run") for line in lines) == 3 + 1, "and the last line"
    assert width == 60 or "dense 0% 480,800 0 to 2, 5 3 of 4 to run" in lines
    assert has(text, "force rounds=300 scope=uniform_plus", "99.951%", "3 of 4 to run")
    assert has(text, "sweep plan digits --calibrate")
    text = printed(width, lambda out: launches.plan(out, planned, grid, found, "digits", with_ids=True))
    assert has(text, *planned.trials, "99.951%")
    assert max(map(len, text.splitlines())) <= width


def test_seeds_that_follow_one_another_are_told_by_the_first_and_the_last():
    assert launches.spans([0]) == "0"
    assert launches.spans([1, 0]) == "0, 1"
    assert launches.spans([0, 1, 2, 3, 7, 9, 10, 11]) == "0 to 3, 7, 9 to 11"


@pytest.mark.parametrize("width", [20, 60, 80, 200])
def test_a_table_is_whole_or_in_pieces_or_stacked_and_never_cut(width):
    header = ("trial id", "method", "a number", "what")
    row = ("0123456789abcdef", "force rounds=300", "123,456,789", "some words that may be broken between words")
    text = printed(width, lambda out: out.print(Fitting(header, [[*map(Text, row)]], right=(2,), prose=(3,))))
    assert has(text, *row[:3], *row[3].split())
    assert max(map(len, text.splitlines())) <= width


def commands(command: click.Command, path: tuple[str, ...] = ()):
    yield path
    if isinstance(command, click.Group):
        for name, child in command.commands.items():
            yield from commands(child, (*path, name))


@pytest.mark.parametrize("path", list(commands(main)), ids=" ".join)
def test_no_line_of_the_help_is_cut(path):
    text = CliRunner().invoke(main, [*path, "--help"], terminal_width=80).output
    assert not re.search(r"(?:[^\]]\.\.\.|…)$", text, re.MULTILINE)
    assert max(map(len, text.splitlines())) <= 100


def test_the_help_lists_each_command_once_in_its_section_on_one_line():
    text = CliRunner().invoke(main, ["--help"], terminal_width=80).output
    assert set(main.sections.values()) <= set(SECTIONS), "each command names its section where it is declared"
    assert [line[:-1] for line in text.splitlines() if line[:-1] in SECTIONS] == list(SECTIONS)
    listed = [line.split()[0] for line in text.partition("Run:")[2].splitlines() if line.startswith("  ")]
    assert sorted(listed) == sorted(main.commands)


@pytest.mark.parametrize("command", ["report", "verify", "compact", "sync"])
def test_commands_of_several_stores_take_them_as_arguments_or_by_option(command, tmp_path):
    missing = [str(tmp_path / name) for name in ("one", "two")]
    by_option = CliRunner().invoke(main, [command, "--store", missing[0]])
    as_argument = CliRunner().invoke(main, [command, missing[0]])
    assert by_option.exit_code == as_argument.exit_code == 2
    assert by_option.output == as_argument.output
    assert missing[0] in by_option.output


@pytest.mark.parametrize("command", ["launch", "plan", "reproduce"])
def test_commands_of_a_config_take_its_store_by_option(command):
    assert any("--store" in option.opts for option in main.commands[command].params)


def test_reports_print_paths_that_can_be_copied(tmp_path):
    path = tmp_path / ("a_long_folder_" * 8) / "summary.md"
    files = SimpleNamespace(tables=[], all=[path])
    assert str(path) in printed(60, lambda out: reports.report(out, files)).splitlines()
