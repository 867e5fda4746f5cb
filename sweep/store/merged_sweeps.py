"""One record of a sweep from those of several stores, whatever their order."""

from collections.abc import Iterable
from dataclasses import replace
from functools import reduce

from sweep.records import SweepRecord


def merged_sweeps(records: Iterable[SweepRecord]) -> dict[str, SweepRecord]:
    """One record for each name: the last launch, with the trials of all of them."""
    by_name: dict[str, list[SweepRecord]] = {}
    for record in records:
        by_name.setdefault(record.name, []).append(record)
    return {name: reduce(_merged, of_name) for name, of_name in sorted(by_name.items())}


def _merged(first: SweepRecord, second: SweepRecord) -> SweepRecord:
    if first == second:
        return first
    last, other = sorted((first, second), key=_launch, reverse=True)
    planned = {*last.trials, *other.trials}
    # in the order of the last launch if it planned all; else sorted, so that no order of merging shows
    trials = last.trials if planned == set(last.trials) else tuple(sorted(planned))
    earlier = None
    if last.earlier is not None or other.earlier is not None:
        earlier = tuple(sorted({*(last.earlier or ()), *(other.earlier or ())} - planned))
    return replace(last, trials=trials, earlier=earlier)


def _launch(record: SweepRecord) -> tuple[object, ...]:
    """What tells launches of one name apart, the last one highest."""
    return (
        record.launched,
        record.config,
        record.host or "",
        record.versions or "",
        record.estimate or "",
        record.trials,
    )
