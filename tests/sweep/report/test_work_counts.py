"""A report of 20,000 trials is a matter of seconds: work is counted here, never timed."""

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pyarrow as pa
import pytest

import sweep.report
from sweep.records import RoundRecord, TrialRecord
from sweep.report import Panel, accuracy_table, panels, write_report
from sweep.report.analysis import analyse
from sweep.report.csv_rows import panel_rows
from sweep.report.figures.accuracy import accuracy_figure
from sweep.report.figures.cost import cost_figure
from sweep.report.figures.sanity import sanity_figure
from sweep.report.figures.stored_masks import MASK_COLUMNS
from sweep.report.summary import summary
from sweep.report.trials import read
from sweep.store import Store

from .conftest import MakeStore, mask, panel, trial

REPORT = str(Path(sweep.report.__file__).parent)


class Watched(Store):
    """A store that notes what it is asked for; not what it then asks itself."""

    def __init__(self, uri: str):
        super().__init__(uri)
        self.asked: list[tuple[Any, ...]] = []
        self._busy = False

    @contextmanager
    def _noting(self, *what: Any) -> Iterator[None]:
        outermost, self._busy = not self._busy, True
        if outermost:
            self.asked.append(what)
        try:
            yield
        finally:
            self._busy = not outermost

    def trials(self, *args: Any, **options: Any) -> pa.Table:
        with self._noting("trials"):
            return super().trials(*args, **options)

    def epochs(self, *args: Any, **options: Any) -> pa.Table:
        with self._noting("epochs"):
            return super().epochs(*args, **options)

    def masks(self, trial_ids: Iterable[str] | None = None, columns: list[str] | None = None) -> pa.Table:
        assert trial_ids is not None
        names = list(trial_ids)
        with self._noting("masks", sorted(names), columns):
            return super().masks(names, columns)


def rounds(number: int) -> tuple[RoundRecord, ...]:
    return tuple(RoundRecord(i, 0.5**i, 10, 0, 5, 1.0) for i in range(1, 1 + number))


def test_trials_are_read_once_and_masks_and_epochs_only_of_what_is_drawn(sweep_store: Store, tmp_path: Path) -> None:
    watched = Watched(sweep_store.uri)
    write_report([watched], tmp_path)
    drawn = sorted(row["trial_id"] for row in sweep_store.trials().to_pylist() if row["sparsity"] == 0.99)
    bits = ["trial_id", "tensor", "encoding", "packed", "shape"]
    assert watched.asked == [("trials",), ("masks", drawn, MASK_COLUMNS), ("masks", drawn, bits), ("epochs",)]
    assert "packed" not in MASK_COLUMNS


def test_where_the_highest_sparsity_has_no_masks_the_layers_are_of_the_next(store: MakeStore, tmp_path: Path) -> None:
    runs = [trial("snip", sparsity, 0, 0.8) for sparsity in (0.9, 0.98, 0.99)]
    made = store("a", runs, [mask(run.trial_id, 0, 10, 5) for run in runs[:2]])
    watched = Watched(made.uri)
    names = [path.name for path in write_report([watched], tmp_path).figures]
    assert "layers-cifar10-resnet20-98.png" in names
    assert [what for what, *_ in watched.asked if what != "epochs"] == ["trials", "masks", "masks"]


def test_rounds_are_made_records_only_where_they_are_drawn(
    store: MakeStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lengths = {0.9: 7, 0.99: 3, 0.999: 1}
    runs = [trial("force", s, seed, 0.8, rounds=rounds(many)) for s, many in lengths.items() for seed in (0, 1)]
    made, whole = store("a", runs), RoundRecord.__init__
    seen: Counter[str] = Counter()

    def counted(self: RoundRecord, *args: Any, **fields: Any) -> None:
        seen["made"] += 1
        whole(self, *args, **fields)

    monkeypatch.setattr(RoundRecord, "__init__", counted)
    files = write_report([made], tmp_path)
    assert "rounds-cifar10-resnet20-99.png" in [path.name for path in files.figures]
    assert seen["made"] == 2 * lengths[0.99]  # the highest sparsity with several


def test_the_trials_that_are_read_carry_no_rounds(store: MakeStore) -> None:
    ((_, trials),) = read([store("a", [trial("force", 0.9, 0, 0.8, rounds=rounds(3))])])
    assert [each.rounds for each in trials] == [()]


def steps(work: Callable[[], object]) -> int:
    """How many instructions of the report's own code this takes: loops inside of one line count too."""
    taken = 0

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal taken
        if not frame.f_code.co_filename.startswith(REPORT):
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        taken += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return taken


def grid(methods: int = 4, sparsities: int = 2, seeds: int = 2) -> list[TrialRecord]:
    """That many trials, half of the methods with a control."""
    labels = [f"m{i // 2}{' ablation=invert' if i % 2 else ''}" for i in range(methods)]
    return [
        trial(label.split()[0], 1 - 0.9**i, seed, 0.5 + seed / 1000, method_label=label, training_flops_share=0.9**i)
        for label in labels
        for i in range(1, 1 + sparsities)
        for seed in range(seeds)
    ]


def tables(found: Panel) -> None:
    accuracy_table(found)
    panel_rows(found)
    summary(analyse([found]), [[]])


def figures(found: Panel) -> None:
    for draw in (accuracy_figure, cost_figure, sanity_figure):
        draw(found)


GROWING = [{"methods": 8}, {"sparsities": 12}, {"seeds": 40}]


@pytest.mark.slow
@pytest.mark.parametrize("size", GROWING, ids=str)
@pytest.mark.parametrize("work", [tables, figures])
def test_twice_the_trials_are_twice_the_work(work: Callable[[Panel], None], size: dict[str, int]) -> None:
    small, large = (panel(grid(**{key: times * many for key, many in size.items()})) for times in (1, 2))
    work(small)  # what is imported and made only once
    assert steps(lambda: work(large)) < 2.3 * steps(lambda: work(small))


def test_twice_the_recipes_are_twice_the_work() -> None:
    small, large = ([trial("snip", 0.9, 0, 0.8, training={"decay": i}, trial_id=str(i)) for i in range(n)]
                    for n in (30, 60))  # fmt: skip
    assert steps(lambda: panels(large)) < 2.3 * steps(lambda: panels(small))
