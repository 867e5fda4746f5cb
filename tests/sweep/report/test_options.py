from pathlib import Path

import pytest
from click.testing import CliRunner

from sweep.cli import main
from sweep.errors import InputError
from sweep.report import ReportOptions, write_report
from sweep.report.figures.accuracy import accuracy_figure
from sweep.report.options import read_methods, read_sparsities
from sweep.store import Store

from .conftest import artist, panel, texts, trial

RUNS = [
    trial("dense", 0.0, 0, 0.95),
    trial("snip", 0.9, 0, 0.9),
    trial("snip", 0.9, 0, 0.3, method_label="snip ablation=invert"),
    trial("force", 0.9, 0, 0.91),
    trial("force", 0.9, 0, 0.92, method_label="force rounds=300"),
]


@pytest.mark.parametrize(
    ("methods", "labels"),
    [
        (("snip",), ["dense", "snip", "snip ablation=invert"]),
        (("force",), ["dense", "force", "force rounds=300"]),
        (("FORCE, rounds=300",), ["dense", "force rounds=300"]),
        (("force rounds=300", "Snip"), ["dense", "snip", "snip ablation=invert", "force rounds=300"]),
        ((), ["dense", "snip", "snip ablation=invert", "force", "force rounds=300"]),
    ],
)
def test_a_method_is_named_by_its_name_its_label_or_its_display_name(
    methods: tuple[str, ...], labels: list[str]
) -> None:
    selected = ReportOptions(methods=methods).selected(panel(RUNS))
    assert [cell.method_label for cell in selected.cells] == labels


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (ReportOptions(methods=("snip", "forse")), "--methods: no trial of a method 'forse'; did you mean 'force'?"),
        (ReportOptions(methods=("grasp rounds=3",)), "no trial of a method 'grasp rounds=3'; "),
        (ReportOptions(at=(0.99,)), r"--at: no trial at 99% sparsity; there are: 90%"),
    ],
)
def test_what_no_trial_has_is_named_with_the_nearest_and_nothing_is_written(
    sweep_store: Store, tmp_path: Path, options: ReportOptions, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        options.check([panel(RUNS)])
    with pytest.raises(InputError):
        write_report([sweep_store], tmp_path / "out", options=ReportOptions(methods=("forse",)))
    assert not (tmp_path / "out").exists()


def test_lists_on_the_command_line_are_read_and_checked() -> None:
    assert read_methods("force, snip") == ("force", "snip")
    assert read_methods("force rounds=[1,2],snip") == ("force rounds=[1,2]", "snip")
    assert read_sparsities("99.5%, 0.99,99%") == (0.99, 0.995)
    assert read_sparsities("98%") == (0.98,)
    for text, hint in (("99", "write 99%"), ("100%", "below 100%"), ("high", "such as 99% or 0.99"), ("", "such as")):
        with pytest.raises(InputError, match=hint):
            read_sparsities(text)
    with pytest.raises(InputError, match="force,snip, not 'force,,'"):
        read_methods("force,,")


def test_a_figure_without_title_has_neither_title_nor_the_line_below_it() -> None:
    words = texts(accuracy_figure(panel(RUNS), options=ReportOptions(title=False)))
    assert not any("ResNet-20" in text or "every run a point" in text for text in words)
    assert any("ResNet-20" in text for text in texts(accuracy_figure(panel(RUNS))))


@pytest.mark.parametrize(
    ("options", "layers"),
    [
        (ReportOptions(), ["99"]),
        (ReportOptions(at=(0.9,)), ["90"]),
        (ReportOptions(at=(0.9, 0.99)), ["90", "99"]),
        (ReportOptions(all_layers=True), ["90", "99"]),
        (ReportOptions(at=(0.9,), all_layers=True), ["90", "99"]),
    ],
)
@pytest.mark.slow
def test_layers_are_drawn_at_the_highest_sparsity_or_where_asked(
    sweep_store: Store, tmp_path: Path, options: ReportOptions, layers: list[str]
) -> None:
    files = write_report([sweep_store], tmp_path, options=options)
    stem = "layers-cifar10-resnet20"
    drawn = [path.stem for path in files.figures if path.suffix == ".png" and path.name.startswith("layers")]
    assert drawn == [f"{stem}-{at}" for at in layers]
    for at in layers:
        assert f"![CIFAR-10, ResNet-20: Density by layer at {at}%]({stem}-{at}.png)" in files.summary.read_text()


def test_the_command_passes_its_options_to_every_figure(sweep_store: Store, tmp_path: Path) -> None:
    command = ["report", sweep_store.name, "--out", str(tmp_path), "--methods", "force", "--at", "90%", "--no-title"]
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 0, result.output
    assert (tmp_path / "layers-cifar10-resnet20-90.png").exists()
    svg = (tmp_path / "accuracy-cifar10-resnet20.svg").read_text()
    assert "mean/force" in svg
    assert "mean/snip" not in svg
    assert "| SNIP |" in (tmp_path / "summary.md").read_text()
    assert artist(accuracy_figure(panel(RUNS)), "mean/snip") is not None
