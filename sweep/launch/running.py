"""Launches that run now, on any machine: which there are, asking them to end, and waiting until they have."""

import re
import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from sweep.errors import InputError
from sweep.store import Store
from sweep.store.leases import Launch, Leases
from sweep.store.requests import Request, Requests
from sweep.store.sweeps import COLUMNS, trials_by_sweep
from training.suggest import suggest

LOOK_SECONDS = 1.0  # between two looks whether launches have ended
_ID = re.compile(r"[0-9a-f]{8}")


class Running(NamedTuple):
    """A launch, and how many trials it runs."""

    launch: Launch
    trials: int


def running(store: Store, names: Collection[str] = ()) -> list[Running]:
    """The launches of the sweeps with these names, or with these ids; all that run a sweep where ``names`` is empty.

    Raises:
        InputError: the store has no sweep of a name, and none is running.
    """
    leases = Leases(store.files)
    launches = sorted((launch for launch in leases.living() if launch.sweep), key=lambda launch: launch.sweep)
    unknown = [name for name in names if not _ID.fullmatch(name) and name not in {each.sweep for each in launches}]
    if unknown:
        _check_stored(store, unknown, {launch.sweep for launch in launches})
    trials = Counter(launch.id for launch in leases.running().values())
    return [Running(each, trials[each.id]) for each in launches if not names or {each.sweep, each.id} & set(names)]


def ask(store: Store, launches: Sequence[Running], request: Request) -> list[Running]:
    """Ask launches to end. Returns those that still ran when the request was there.

    Raises:
        StoreError: the store cannot be written to.
    """
    requests = Requests(store.files)
    for each in launches:
        requests.put(each.launch, request)
    living = {launch.id for launch in Leases(store.files).living()}
    for each in launches:
        if each.launch.id not in living:
            requests.withdraw(each.launch)
    return [each for each in launches if each.launch.id in living]


def wait(store: Store, launches: Sequence[Running], tell: Callable[[list[Running]], None]) -> None:
    """Wait until launches have ended; ``tell`` gets those that still run, whenever that has changed.

    Raises:
        StoreError: the store cannot be reached.
    """
    waited_for, told = {each.launch.id for each in launches}, None
    while left := [each for each in running(store) if each.launch.id in waited_for]:
        if left != told:
            tell(left)
            told = left
        time.sleep(LOOK_SECONDS)
    for each in launches:  # of those that died and could not delete it
        Requests(store.files).withdraw(each.launch)


def _check_stored(store: Store, names: Collection[str], others: Collection[str]) -> None:
    stored = trials_by_sweep(store.sweeps(), store.trials(columns=COLUMNS))
    for name in names:
        if name not in stored:
            known = sorted({*stored, *others})
            hint = suggest(name, known) if known else "it holds no sweeps"
            raise InputError(f"{name}: {store.name} has no such sweep, and no launch runs it; {hint}")
