import csv
import hashlib
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sweep.errors import InputError
from sweep.records import FAILED, RoundRecord
from sweep.report import report_folder, write_report
from sweep.store import Store

from .conftest import MakeStore, mask, trial


def test_a_report_is_figures_csv_and_markdown(sweep_store: Store, tmp_path: Path) -> None:
    files = write_report([sweep_store], tmp_path / "new" / "report")
    assert sorted(path.name for path in (tmp_path / "new" / "report").glob("[!.]*")) == [
        "accuracy-cifar10-resnet20.pdf",
        "accuracy-cifar10-resnet20.png",
        "accuracy-cifar10-resnet20.svg",
        "comparisons.csv",
        "differences-cifar10-resnet20-90.pdf",
        "differences-cifar10-resnet20-90.png",
        "differences-cifar10-resnet20-90.svg",
        "layers-cifar10-resnet20-99.pdf",
        "layers-cifar10-resnet20-99.png",
        "layers-cifar10-resnet20-99.svg",
        "over_cells.csv",
        "summary.csv",
        "summary.md",
        "thresholds.csv",
        "trials.csv",
    ]
    assert all(path.stat().st_size > 0 for path in files.all)
    assert len(files.all) == 15


def test_the_summary_says_what_was_run_what_it_cost_and_what_was_lost(store: MakeStore, tmp_path: Path) -> None:
    facts = {"prunable": 270896, "prune_seconds": 1.5, "prune_passes": 60, "empty_layers": 1, "device": "cpu"}
    facts |= {"achieved_sparsity": 0.99, "effective_sparsity": 0.9923, "macs_dense": 200, "macs_kept": 6}
    done = [trial("force", 0.99, seed, 0.8, data_encoding="JPEG", **facts) for seed in (0, 1)]
    error = {"error_type": "OutOfMemoryError", "error_message": "no room\nfor more"}
    lost = trial("snip", 0.99, 0, None, status=FAILED, **error)
    text = write_report([store("a", [*done, lost])], tmp_path / "out").summary.read_text()
    for line in (
        "# hand",
        "Trials: 2 completed, 1 failed.",
        "## CIFAR-10 (JPEG), ResNet-20",
        "- network: ResNet-20, 270,896 prunable weights",
        "- epochs: 5",
        "- seeds: 0, 1",
        "- chance: 10%; a run counts as at chance up to 14.5%",
        "![CIFAR-10 (JPEG), ResNet-20](accuracy-cifar10-jpeg-resnet20.png)",
        "| SNIP | 1 failed |",
        "| FORCE | 80.00 ± 0.00 (2) |",
        "### Cost",
        "| method | sparsity | prune s | pruning passes | epochs in all |",
        "| FORCE | 99% | 1.5 | 60 | 5 |",
        "### Masks",
        "| method | sparsity | achieved (compression) | effective | MACs left (speed-up) | empty layers |",
        "| FORCE | 99% | 99.00% | 99.23% | 3% (33.3×) | 1 |",
        "- 1 failed: OutOfMemoryError: no room (resnet20 snip 99% s0)",
    ):
        assert line in text.splitlines()


@pytest.mark.slow
def test_each_figure_stands_under_the_heading_of_what_it_shows(store: MakeStore, tmp_path: Path) -> None:
    rounds = tuple(RoundRecord(number, 0.1**number, 10, 0, 5, 1.0) for number in (1, 2))
    whole = trial("force", 0.99, 0, 0.8, rounds=rounds, training_flops_share=0.02, kept=10, final_gradient_norm=1.0)
    control = trial("force", 0.99, 0, 0.3, method_label="force ablation=invert", training_flops_share=0.02)
    made = store("a", [whole, control], [mask(whole.trial_id, 0, 10, 5)])
    files = write_report([made], tmp_path / "out")
    stem = "cifar10-resnet20"
    names = [f"accuracy-{stem}", f"cost-{stem}", f"sanity-{stem}", f"layers-{stem}-99", f"rounds-{stem}-99"]
    assert [path.name for path in files.figures] == [
        f"{name}.{kind}" for name in names for kind in ("png", "svg", "pdf")
    ]
    lines = files.summary.read_text().splitlines()
    sections = [line for line in lines if line.startswith(("#", "!"))]
    assert sections == [
        "# hand",
        "## CIFAR-10, ResNet-20",
        f"![CIFAR-10, ResNet-20](accuracy-{stem}.png)",
        "### Intervals",
        "### How far each method can be pruned",
        "### Sanity checks",
        f"![CIFAR-10, ResNet-20: Methods and their controls](sanity-{stem}.png)",
        "### Cost",
        f"![CIFAR-10, ResNet-20: Accuracy against training FLOPs](cost-{stem}.png)",
        "### Masks",
        f"![CIFAR-10, ResNet-20: Density by layer at 99%](layers-{stem}-99.png)",
        "### After training",
        "### Rounds",
        f"![CIFAR-10, ResNet-20: Round by round at 99%](rounds-{stem}-99.png)",
    ]
    assert "| FORCE | 99% | 80.00 (1) | 30.00 (1) | -50.00 (1) |" in lines


def test_methods_that_train_several_times_are_told_apart_in_what_was_run(store: MakeStore, tmp_path: Path) -> None:
    runs = [trial("imp", 0.99, 0, 0.8, epochs=30), trial("snip", 0.99, 0, 0.8)]
    assert "- epochs: 5 a training, 5 to 30 in all" in write_report([store("a", runs)], tmp_path).summary.read_text()


def test_a_report_of_two_stores_counts_a_shared_trial_once_with_the_masks_of_its_store(
    store: MakeStore, tmp_path: Path
) -> None:
    shared = trial("force", 0.99, 0, 0.8)
    failed = trial("force", 0.99, 0, None, status=FAILED)
    first = store("a", [failed, trial("force", 0.99, 1, 0.9)], [mask(failed.trial_id, 0, 500, 500)])
    second = store("b", [shared], [mask(shared.trial_id, 0, 1, 1)])
    files = write_report([first, second], tmp_path / "out")
    with open(files.trials_csv, newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["seed"], row["status"], row["test_accuracy"]) for row in rows] == [
        ("0", "completed", "0.8"),
        ("1", "completed", "0.9"),
    ]
    lone = write_report([second], tmp_path / "lone")
    assert "85.00 ± 7.07 (2)" in files.summary.read_text()
    assert "80.00 (1)" in lone.summary.read_text()


def test_two_networks_whose_names_no_file_name_can_tell_apart_both_have_figures(
    store: MakeStore, tmp_path: Path
) -> None:
    runs = [
        trial("force", 0.9, 0, 0.8, architecture_label=label, trial_id=label.replace(":", "-"))
        for label in ("net:A", "net:a")
    ]
    runs[1] = trial("force", 0.9, 0, 0.8, architecture_label="net:a", trial_id="other")
    figures = write_report([store("a", runs)], tmp_path / "out").figures
    assert [path.name for path in figures if path.suffix == ".png"] == [
        "accuracy-cifar10-net-a-1.png",
        "accuracy-cifar10-net-a-2.png",
    ]


def test_nothing_is_written_where_there_is_nothing_to_report(store: MakeStore, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="sweep launch"):
        write_report([store("empty", [])], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_file_in_the_place_of_the_folder_is_named(sweep_store: Store, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(InputError, match=r"out is a file; name a folder"):
        write_report([sweep_store], tmp_path / "out")
    assert (tmp_path / "out").read_text() == "mine"


@pytest.mark.slow
def test_the_same_store_makes_the_same_files(sweep_store: Store, tmp_path: Path) -> None:
    one, two = (write_report([sweep_store], tmp_path / name) for name in ("one", "two"))
    for first, second in zip(one.all, two.all, strict=True):
        assert first.read_bytes() == second.read_bytes(), first.name
        assert first.suffix != ".svg" or "<dc:date>" not in first.read_text()


def test_importing_the_report_loads_neither_matplotlib_nor_the_engines() -> None:
    code = "import sys, sweep.report; print(*{'matplotlib', 'torch', 'ray', 'mlflow'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


INLINE = "module://matplotlib_inline.backend_inline"  # a notebook's
BACKENDS = {  # that are named, and what matplotlib is left with; "nowhere" is not installed
    INLINE: INLINE if importlib.util.find_spec("matplotlib_inline") else "agg",
    "nowhere": "agg",
    "svg": "svg",
}


@pytest.mark.slow
@pytest.mark.parametrize("backend", BACKENDS)
def test_figures_need_no_backend_whatever_mplbackend_names(backend: str, sweep_store: Store, tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from sweep.report import write_report; from sweep.store import Store;"
        "files = write_report([Store(sys.argv[1])], Path('out')); print(len(files.figures), os.environ['MPLBACKEND']);"
        "assert 'matplotlib.pyplot' not in sys.modules; import matplotlib; print(matplotlib.rcParams['backend'])"
    )
    command = [sys.executable, "-c", code, sweep_store.uri]
    environment = os.environ | {"MPLBACKEND": backend}
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert done.returncode == 0, done.stderr
    figures, named, left_with = done.stdout.split()
    assert int(figures) == len(list((tmp_path / "out").glob("*-*.*"))) > 0
    assert (named, left_with) == (backend, BACKENDS[backend])


@pytest.mark.slow
def test_figures_of_an_earlier_report_that_are_no_longer_drawn_are_removed(
    sweep_store: Store, store: MakeStore, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    old = write_report([sweep_store], out)
    kept = next(path for path in old.figures if path.name == "layers-cifar10-resnet20-99.svg")
    kept.write_text("changed by its reader")
    (out / "own.png").write_bytes(b"somebody's own")
    manifest = out / ".written.json"
    outside = tmp_path / "outside.png"
    outside.write_bytes(b"")
    manifest.write_text(manifest.read_text().replace("{", '{"x": 1,', 1).replace(
        '"summary.md"', f'"../outside.png": "{hashlib.sha256(b"").hexdigest()}", "summary.md"'))  # fmt: skip
    new = write_report([store("b", [trial("snip", 0.9, 0, 0.8, architecture_label="resnet32")])], out)
    there = {path.name for path in out.glob("[!.]*")}
    assert there == {path.name for path in new.all} | {"own.png", kept.name}
    assert outside.exists()


@pytest.mark.slow
def test_a_manifest_that_cannot_be_read_removes_nothing(sweep_store: Store, store: MakeStore, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for text in ("", "[1]", '{"report": 3}', '{"report": {"a": 1}}'):
        before = {path.name for path in write_report([sweep_store], out).all}
        (out / ".written.json").write_text(text)
        write_report([store("b", [trial("snip", 0.9, 0, 0.8)])], out)
        assert before <= {path.name for path in out.iterdir()}


def test_a_report_is_not_written_through_a_link_that_leads_out_of_the_store(store: MakeStore, tmp_path: Path) -> None:
    made = store("a", [trial("snip", 0.9, 0, 0.8)])
    mine = tmp_path / "mine.md"
    mine.write_text("mine")
    folder = report_folder(made, "hand")
    folder.mkdir(parents=True)
    assert report_folder(made, "hand") == folder
    (folder / "summary.md").symlink_to(mine)
    with pytest.raises(InputError, match="summary.md leads out of the store"):
        report_folder(made, "hand")
    (folder / "summary.md").unlink()
    folder.rmdir()
    folder.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="leads out of the store"):
        report_folder(made, "hand")
    (tmp_path / "b").symlink_to(tmp_path / "a")  # the whole store may lie elsewhere
    assert report_folder(Store(tmp_path / "b"), "other") == tmp_path / "b/reports/other"
