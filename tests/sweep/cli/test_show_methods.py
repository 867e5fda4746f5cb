"""``sweep methods``: what it lists, how wide it is, and what it says of packages that offer what cannot be had."""

import io
import json

import pytest
from click.testing import CliRunner
from rich.console import Console

import pruning
from pruning import plugins
from sweep.cli import main
from sweep.cli.print import catalogue

GROUPS = ["Controls", "At initialization", "During training", "After training"]


@pytest.mark.parametrize("width", [60, 100, 200])
def test_the_table_fits_and_cuts_no_name_and_no_paper_off(width):
    console = Console(width=width, file=io.StringIO())
    rows, _ = catalogue.method_rows()
    catalogue.methods(console, rows)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    lines = text.splitlines()
    assert max(map(len, lines)) <= width
    assert "…" not in text
    firsts = [line.split()[0] for line in lines if line.startswith("  ") and line[2] != " "]
    assert sorted(firsts) == sorted(pruning.names())
    assert ("arXiv:1810.02340" in text) is (width > 60)
    assert [line.strip() for line in lines if line.strip() in GROUPS] == GROUPS
    assert firsts.index("dense") < firsts.index("snip") < firsts.index("rigl") < firsts.index("imp")


def test_no_markup_of_docstrings_is_printed():
    for command in (["methods"], ["methods", "--json"], ["architectures"], ["architectures", "--json"]):
        assert "`" not in CliRunner().invoke(main, command).output


def test_options_of_a_methods_own_are_listed_and_shared_ones_said_once():
    output = CliRunner().invoke(main, ["methods"]).output
    [grasp] = [line for line in output.splitlines() if line.startswith("  grasp ")]
    assert " temperature=200 " in grasp
    assert "scope" not in grasp
    assert output.count("floor=0") == output.count("schedule=") == 1


def test_json_has_every_option_and_when_a_mask_is_made():
    rows = {row["method"]: row for row in json.loads(CliRunner().invoke(main, ["methods", "--json"]).output)}
    shared = {"rounds": 60, "schedule": "exponential", "scope": "global", "floor": 0.0}
    assert rows["force"]["options"] == {**shared, "truncate": False}
    assert (rows["force"]["when"], rows["rigl"]["when"]) == ("at initialization", "during training")


def test_json_and_markdown_are_not_printed_at_once():
    result = CliRunner().invoke(main, ["methods", "--json", "--markdown"])
    assert (result.exit_code, result.stdout) == (2, "")
    assert "leave the name and --json out" in result.stderr


def test_what_a_package_offers_in_vain_is_one_line_on_stderr_and_the_rest_is_listed(tmp_path, monkeypatch):
    information = tmp_path / "broken-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Name: broken\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[sweep.methods]\ngradient = nowhere.at_all\n")
    monkeypatch.syspath_prepend(tmp_path)
    plugins.offered.cache_clear()
    try:
        result = CliRunner().invoke(main, ["methods", "--json"])
    finally:
        plugins.offered.cache_clear()
    assert result.exit_code == 0
    assert "force" in {row["method"] for row in json.loads(result.stdout)}
    [line] = result.stderr.splitlines()
    assert line.startswith(
        "left out: method 'gradient' of the package broken cannot be loaded from 'nowhere.at_all' (Mod"
    )
