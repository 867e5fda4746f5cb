"""The status of sweeps, failures by kind, and problems of a store."""

import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console

from sweep.cli.print.console import Row, trial_line
from sweep.failures import FailureGroup
from sweep.store import Store
from sweep.store.folding import is_slow
from sweep.store.status import SweepStatus
from sweep.text import one_line

if TYPE_CHECKING:
    from sweep.store.verify import StoreProblem  # which takes torch

_WHY = ["trial_id", "status", "error_type", "error_message", "architecture_label", "method_label", "sparsity", "seed"]


def status(out: Console, found: Sequence[SweepStatus], store: Store) -> None:
    """Counts by sweep, trials that did not complete and why, and files that cannot be read."""
    if not found:
        out.print(f"{store.name} holds no trials. Fill it: sweep launch digits", markup=False)
    names = {name for each in found for name in each.ended_early}
    rows = {row["trial_id"]: row for row in store.trials(names, _WHY).to_pylist()} if names else {}
    for each in found:
        counts = ", ".join(f"{number} {state}" for state, number in each.counts.items())
        out.print(f"{each.name}: {counts or 'no trial has started'}", markup=False, soft_wrap=True)
        if each.launches:
            out.print(f"  run by {', '.join(each.launches)}", markup=False)
        for wait in each.waits:
            out.print(f"  {wait}", markup=False, soft_wrap=True)
        if each.resumable:
            out.print(f"  {each.resumable} go on from a checkpoint when it is launched again")
        _ended_early(out, [rows[name] for name in each.ended_early if name in rows], store)
    if conflicts := {file.trial_id for file in store.conflicts.loose("trials")}:
        several = "1 trial has" if len(conflicts) == 1 else f"{len(conflicts):,} trials have"
        out.print(
            f"{several} other results in conflicts/: sweep report and sweep trial show ID name them", markup=False
        )
    for path, reason in store.damaged.items():
        out.print(f"  cannot read {path}: {reason}", markup=False, soft_wrap=True)
    if is_slow(store):
        hint = f"Many small files make this slow: sweep compact {shlex.quote(store.name)}"
        out.print(hint, markup=False, soft_wrap=True)


def _ended_early(out: Console, rows: Sequence[Row], store: Store) -> None:
    """The first trials of a sweep that did not complete, and why."""
    for row in rows[:20]:
        out.print(f"  {row['trial_id']} {trial_line(row)} {row['status']}{_why(row)}", markup=False, soft_wrap=True)
    if len(rows) > 20:
        more = f"  and {len(rows) - 20} more: sweep failures --store {shlex.quote(store.name)}"
        out.print(more, markup=False, soft_wrap=True)


def status_json(found: Sequence[SweepStatus]) -> dict[str, dict[str, int]]:
    """Counts by sweep, in plain values."""
    return {each.name: each.counts for each in found}


def failures_json(groups: Sequence[FailureGroup]) -> list[Row]:
    """Failures by kind, in plain values."""
    return [
        {
            "kind": group.kind.name,
            "count": len(group.trials),
            "trials": [record.trial_id for record in group.trials],
            "example": {name: getattr(group.example, name) for name in _EXAMPLE},
            "mend": group.kind.fix,
        }
        for group in groups
    ]


_EXAMPLE = (
    "trial_id", "status", "error_type", "error_message", "traceback", "host", "device", "peak_memory_bytes",
    "device_memory_bytes", "attempts",
)  # fmt: skip


def failures(out: Console, groups: Sequence[FailureGroup], store: Store) -> None:
    """Failures by kind, each with the command that runs them again."""
    where = shlex.quote(store.name)  # users copy the commands
    if not groups:
        out.print(f"{store.name}: nothing failed", markup=False)
    for group in groups:
        example = group.example
        out.print(f"{group.kind.name}: {len(group.trials)} trials", style="bold")
        said = f"{trial_line(vars(example))}{_why(vars(example))}"
        out.print(f"  for example {example.trial_id} {said}", markup=False, soft_wrap=True)
        if example.host:
            memory = f", {_gib(example.peak_memory_bytes)} used" if example.peak_memory_bytes else ""
            whole = f" of {_gib(example.device_memory_bytes)}" if memory and example.device_memory_bytes else ""
            out.print(f"  on {example.host}, {example.device}{memory}{whole}", markup=False)
        fix = group.kind.fix.replace("show ID", f"show {example.trial_id} --store {where}")
        out.print(f"  fix: {fix}", markup=False, soft_wrap=True)
        out.print(f"  again: sweep retry --kind {group.kind.name} --store {where}", markup=False, soft_wrap=True)


def _why(row: Mapping[str, Any]) -> str:
    """The error of a failed trial on one line; empty for others."""
    return f": {row['error_type']}: {one_line(row['error_message'] or '', 500)}" if row["error_type"] else ""


def _gib(size: int | None) -> str:
    return f"{(size or 0) / 2**30:.1f} GiB"


def problems(out: Console, found: Sequence["StoreProblem"], checked: Mapping[str, int]) -> None:
    """The problems of a store, and how much was checked."""
    for each in found:
        out.print(f"{each.file}: {each.what}", markup=False, soft_wrap=True)
        if each.mend:
            out.print(f"  fix: {each.mend}", markup=False, soft_wrap=True)
    what = ", ".join(f"{number:,} {name}" for name, number in checked.items())
    out.print(f"checked {what}: " + (f"{len(found)} problems" if found else "no problems"))
