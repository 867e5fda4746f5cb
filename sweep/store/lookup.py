"""Look up a trial by the beginning of its id."""

from collections.abc import Iterable

from sweep.errors import InputError
from sweep.records import TrialRecord
from sweep.store.store import Store

SHOWN = 5  # ids in an error


def full_id(beginning: str, ids: Iterable[str], absent: str) -> str:
    """The one of ``ids`` that starts with ``beginning``.

    Args:
        beginning: of an id.
        ids: the candidates.
        absent: the end of the error if no id matches: "is not in results".

    Raises:
        InputError: no id matches, or several do.
    """
    matching = sorted(name for name in ids if name.startswith(beginning))
    if not matching:
        raise InputError(f"trial {beginning!r} {absent}")
    if len(matching) > 1:
        some = ", ".join(matching[:SHOWN])
        raise InputError(f"trial {beginning!r} is the beginning of {len(matching)} trials; give more of it ({some})")
    return matching[0]


def stored_trial(store: Store, beginning: str) -> TrialRecord:
    """The stored trial whose id begins so.

    Raises:
        InputError: none, or several.
    """
    ids = store.trials(columns=["trial_id"])["trial_id"].to_pylist()
    name = full_id(beginning, ids, f"is not in {store.name}; 'sweep plan CONFIG' lists the ids of a sweep")
    record = store.trial(name)
    assert record is not None  # its row was just read
    return record
