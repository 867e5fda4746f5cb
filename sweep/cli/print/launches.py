"""A plan, and how a launch or a retry ended."""

import shlex
from collections import Counter
from collections.abc import Iterable, Sequence

import torch
from rich.console import Console
from rich.text import Text

from pruning.masks import kept_count
from pruning.plugins import origin
from sweep.cli.print.budget import budget_json, budget_lines
from sweep.cli.print.console import Row, trial_line
from sweep.config.compute import AUTO
from sweep.config.config import SweepConfig
from sweep.engines.capacity import capacity
from sweep.engines.sharing.decide import known, lines
from sweep.launch.budget.budget import Budget
from sweep.launch.plan import Plan
from sweep.launch.preflight import GridCheck, files_read
from sweep.launch.run import Summary
from sweep.records import TrialRecord
from sweep.report.terminal import Fitting
from sweep.store import Store
from sweep.text import percent, redacted
from sweep.trial import machine
from sweep.trial.networks import NetworkSummary


def plan_json(planned: Plan, grid: GridCheck, found: Budget) -> Row:
    """The plan in plain values: an entry per trial, network and own method, and its budget."""
    networks, warnings = grid
    trials = [
        {
            "trial_id": name,
            "architecture": trial.architecture.label,
            "method": trial.method_label,
            "sparsity": trial.sparsity,
            "seed": trial.seed,
            "prunable": networks[trial.architecture.label].prunable,
            "kept": kept_count(networks[trial.architecture.label].prunable, trial.sparsity),
            "missing": name in planned.todo,
        }
        for name, trial in planned.trials.items()
    ]
    sweep = planned.sweep
    return {
        "sweep": sweep.name,
        "store": redacted(sweep.store),
        "data": {"fingerprint": sweep.data.fingerprint, "files": files_read(sweep, of_streamed=False)},
        "done": planned.done,
        "missing": len(planned.todo),
        **sweep.grid.changes()._asdict(),
        "budget": budget_json(found),
        **_at_once(sweep),
        "trials": trials,
        "architectures": [{"architecture": label, **_of_network(network)} for label, network in networks.items()],
        "methods": [
            {"method": label, "file": origin(name)}
            for label, name in {method.label: method.name for method in sweep.grid.used("method")}.items()
            if ":" in name
        ],
        "warnings": warnings,
    }


def _at_once(sweep: SweepConfig) -> Row:
    """How many trials run at once on GPUs, and where that is measured, how many of each architecture share one."""
    gpus = torch.cuda.device_count()
    found = known(sweep, Store(sweep.store)) if sweep.compute.gpus_per_trial == AUTO else {}
    decided = {label: sharing for label, sharing in found.items() if sharing is not None}
    share = max(sharing.share for sharing in decided.values()) if decided.keys() == found.keys() and found else None
    room = capacity(sweep.compute, machine.cores(), gpus, share)
    row = room and {"trials": room.trials, "limited_by": room.limited_by, "text": room.text}
    if found and share is None:
        unknown = ", ".join(label for label in found if label not in decided)
        here = "" if gpus else "; this machine has none, and --set compute.gpus_per_trial=0 trains on the CPU"
        text = f"compute.gpus_per_trial=auto is measured on a GPU when the sweep is launched ({unknown}){here}"
        row = {"trials": None, "limited_by": None, "text": text}
    return {
        "at_once": row,
        "gpu_sharing": [
            {"architecture": label, "trials": sharing.trials, "text": text}
            for (label, sharing), text in zip(decided.items(), lines(decided), strict=True)
        ],
    }


def _of_network(network: NetworkSummary) -> Row:
    return {
        "prunable": network.prunable,
        "prunable_share": network.prunable_share,
        "init": network.init,
        "file": network.file or None,
    }


def _network_line(row: Row) -> str:
    found = f"from {row['file']}, " if row["file"] else ""
    share = row["prunable_share"]
    of_all = f"{100 * share:.3g} % of its weights are prunable, " if share < 1 else ""
    made = " (as its factory makes them)" if row["init"] == "default" else ""
    return f"{row['architecture']}: {found}{of_all}initial weights by {row['init']}{made}"


def plan(out: Console, planned: Plan, grid: GridCheck, found: Budget, config: str, with_ids: bool = False) -> None:
    """The plan as a table for each network, a line a method and sparsity or, ``with_ids``, a trial; and its budget.

    Args:
        out: where it is printed.
        planned: the plan.
        grid: with its networks and warnings.
        found: its budget.
        config: as the user has named it.
        with_ids: whether every trial has a line of its own.
    """
    values = plan_json(planned, grid, found)
    for network in values["architectures"]:
        rows = [row for row in values["trials"] if row["architecture"] == network["architecture"]]
        out.print(f"{network['architecture']}: {network['prunable']:,} prunable weights", style="bold", markup=False)
        out.print(_trials(rows) if with_ids else _cells(rows), "")
    if fingerprint := values["data"]["fingerprint"]:
        out.print(f'data.fingerprint: "{fingerprint}"', soft_wrap=True)
    if values["data"]["files"]:
        out.print(f"data: {values['data']['files']}", markup=False, soft_wrap=True)
    for row in values["architectures"]:
        out.print(_network_line(row), markup=False, soft_wrap=True)
    for row in values["methods"]:
        out.print(f"{row['method']}: from {row['file']}", markup=False, soft_wrap=True)
    for warning in values["warnings"]:
        out.print(f"warning: {warning}", markup=False, soft_wrap=True)
    for row in values["gpu_sharing"]:
        out.print(row["text"], markup=False, soft_wrap=True)
    if values["at_once"]:
        out.print(f"trials: {values['at_once']['text']}", markup=False, soft_wrap=True)
    if values["excluded"] or values["included"]:
        changes = f"grid.exclude leaves out {values['excluded']:,}, grid.include adds {values['included']:,}"
        out.print(f"trials of the grid: {changes}", markup=False, soft_wrap=True)
    for line in budget_lines(found):
        out.print(line, markup=False)
    if found.unknown:
        out.print(f"measure it in a minute: sweep plan {shlex.quote(config)} --calibrate", markup=False, soft_wrap=True)
    out.print(
        f"\n{values['sweep']}: {len(values['trials'])} trials, {values['done']} completed, {values['missing']} to run"
    )


def _trials(rows: Sequence[Row]) -> Fitting:
    """A line a trial."""
    texts = [
        (
            row["trial_id"], row["method"], percent(row["sparsity"]), str(row["seed"]), f"{row['kept']:,}",
            "to run" if row["missing"] else "completed",
        )
        for row in rows
    ]  # fmt: skip
    return Fitting(("trial id", "method", "sparsity", "seed", "kept", ""), _texts(texts), right=(2, 3, 4))


def _cells(rows: Sequence[Row]) -> Fitting:
    """A line a method and sparsity, with the seeds of its trials and how many are to run."""
    cells: dict[tuple[str, float], list[Row]] = {}
    for row in rows:
        cells.setdefault((row["method"], row["sparsity"]), []).append(row)
    texts = [
        (method, percent(sparsity), f"{of[0]['kept']:,}", spans(row["seed"] for row in of), _state(of))
        for (method, sparsity), of in cells.items()
    ]
    return Fitting(("method", "sparsity", "kept", "seeds", ""), _texts(texts), right=(1, 2), prose=(3,))


def _state(rows: Sequence[Row]) -> str:
    missing = sum(row["missing"] for row in rows)
    if missing in (0, len(rows)):
        return "to run" if missing else "completed"
    return f"{missing} of {len(rows)} to run"


def _texts(rows: Iterable[Sequence[str]]) -> list[list[Text]]:
    return [[*map(Text, row)] for row in rows]


def spans(numbers: Iterable[int]) -> str:
    """``{0, 1, 2, 5}`` -> ``0 to 2, 5``."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    pieces = [f"{run[0]} to {run[-1]}" if len(run) > 2 else ", ".join(map(str, run)) for run in runs]
    return ", ".join(pieces)


def quick_try(out: Console, sweep: SweepConfig) -> None:
    """What a quick try is, and where its results are."""
    epochs = "1 epoch" if sweep.training.epochs == 1 else f"{sweep.training.epochs} epochs"
    images = f"{percent(sweep.data.train).removesuffix('%')} % of the training images"
    what = f"Quick try: {epochs} on {images}. It shows that everything runs, not which method is better."
    where = f"Its results are in {redacted(sweep.store)}, under the name {sweep.name}."
    out.print(f"{what} {where}", style="bold", markup=False, soft_wrap=True)


def summary(out: Console, sweep: SweepConfig, found: Summary) -> None:
    """How a launch ended, and commands for what may follow."""
    counts = ", ".join(f"{number} {status}" for status, number in found.statuses.items())
    store = shlex.quote(redacted(sweep.store))
    if not found.ran and found.exit_code == 0:
        out.print(f"{sweep.name}: nothing to run, all {sum(found.statuses.values())} trials are completed.")
    else:
        preempted = f", {found.preemptions} preempted" if found.preemptions else ""
        out.print(f"{sweep.name}: ran {found.ran} trials{preempted}. Now {counts}.")
    if found.exit_code == 1:
        why = f"See why: sweep failures --store {store}   Launching again runs what is not completed."
        out.print(why, markup=False, soft_wrap=True)
    if found.was_stopped:
        by = f" by sweep {found.asked.action} ({found.asked.by})" if found.asked else ""
        again = f"Stopped{by}. Launching again runs what is missing, and resumes trials that were stopped."
        out.print(again, markup=False, soft_wrap=True)
    if found.deviation is not None:
        out.print(found.deviation.sentence, markup=False, soft_wrap=True)
    browse = f"    MLflow: sweep ui --store {store}" if sweep.tracking.enabled and not sweep.tracking.uri else ""
    out.print(f"Report: sweep report {store} --sweep {sweep.name} --html{browse}", markup=False, soft_wrap=True)


def summary_json(sweep: SweepConfig, found: Summary) -> Row:
    """How a launch ended, in plain values."""
    asked = {"asked": found.asked.action} if found.asked else {}
    took = found.deviation and {
        "trials": found.deviation.trials,
        "expected_trial_seconds": found.deviation.expected.expected,
        "trial_seconds": found.deviation.measured,
    }
    return {
        "sweep": sweep.name,
        "store": redacted(sweep.store),
        "ran": found.ran,
        **asked,
        "estimate": took,
        **found.statuses,
    }


def chosen(out: Console, records: Sequence[TrialRecord]) -> None:
    """The trials that a retry would run."""
    for record in records:
        out.print(f"{record.trial_id} {trial_line(vars(record))}: {record.status}", markup=False)
    out.print(f"{len(records)} trials")


def retried(out: Console, found: Sequence[Summary], unchanged: Sequence[str]) -> None:
    """How a retry ended, and which completed trials did not complete this time."""
    counts = Counter[str]()
    for each in found:
        counts.update(each.statuses)
    told = ", ".join(f"{number} {status}" for status, number in counts.items())
    out.print(f"ran {sum(each.ran for each in found)} trials. Now {told}." if found else "no trial to run again")
    if unchanged:
        out.print(f"These did not complete this time, and keep their earlier outcome: {', '.join(unchanged)}")
