"""What a sweep says of masks that equal scores or rounding decided."""

from dataclasses import replace
from io import StringIO
from pathlib import Path

from rich.console import Console

from sweep.config.config import read_sweep
from sweep.config.grid import expand, trial_id
from sweep.engines import Stop
from sweep.launch.progress import open_progress
from sweep.report.analysis import analyse
from sweep.report.record_page import mask_remarks
from sweep.report.summary import remarks_section, summary
from sweep.report.trials import panels
from sweep.store import Store
from sweep.trial.run import run_trial

from .conftest import trial

CONFIG = Path(__file__).parents[3] / "configs" / "digits.yaml"
SETTINGS = ["grid.architecture={name: vgg_digits, width: 4, depth: 3}", "training.epochs=1", "grid.seed=[0, 1]"]


def test_a_report_lists_the_methods_whose_masks_are_chosen_by_index_or_rounding() -> None:
    rows = [
        trial("snip", 0.9, 0, 0.8, kept=1000, tied_kept=400, tied_candidates=2000, prunable=10_000),
        trial("snip", 0.99, 0, 0.7, kept=100, tied_kept=100, tied_candidates=2000, prunable=10_000),
        trial("synflow", 0.9, 0, 0.8, kept=1000, tied_kept=0, tied_candidates=0, unconserved_layers=3),
        trial("random", 0.9, 0, 0.8, kept=1000, tied_kept=0, tied_candidates=0),
        trial("force", 0.9, 0, 0.8),  # of an older store
    ]
    heading, lines = remarks_section(rows)
    assert heading == "## Masks that scores alone did not decide"
    first, second = lines.splitlines()
    assert first.startswith("- resnet20 snip: 2 trials; at 90%, seed 0: 400 of the 1,000 kept weights were chosen by")
    assert second.startswith("- resnet20 synflow: 1 trials; at 90%, seed 0: in 3 layers SynFlow's scores cancel or")
    found = panels(rows)
    assert lines in summary(analyse(found), [[] for _ in found])


def test_a_report_without_such_masks_has_no_such_section() -> None:
    assert remarks_section([trial("snip", 0.9, 0, 0.8, kept=1000, tied_kept=0, tied_candidates=0)]) == []


def test_a_trial_records_its_ties_and_conservation_and_a_launch_says_them_once_a_method(tmp_path: Path) -> None:
    methods = "grid.method=[{name: iter_snip, rounds: 2}, {name: synflow, rounds: 2}, random]"
    sweep = read_sweep(CONFIG, [*SETTINGS, methods, "grid.sparsity=0.5", "grid.ablation=none"])
    trials = {trial_id(one): one for one in expand(sweep)}
    text = StringIO()
    progress = open_progress(trials, trials, Store(str(tmp_path)), Console(file=text, width=200), Stop())
    for one in trials.values():
        record = run_trial(one).trial
        assert record.status == "completed"
        assert record.tied_kept is not None
        assert record.tied_candidates is not None
        assert record.unconserved_layers == (0 if one.method.name == "synflow" else None)
        assert mask_remarks(record) == []
        if one.method.name == "iter_snip":
            record = replace(record, tied_kept=9, tied_candidates=99, kept=10)
        progress.finished(record)
    assert text.getvalue().count("chosen by index") == 1
