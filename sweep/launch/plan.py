"""The plan: the trials that a sweep asks for, and which of them are left to run."""

import socket
from dataclasses import dataclass
from datetime import UTC, datetime

from sweep.config import fingerprints
from sweep.config.config import SweepConfig
from sweep.config.grid import expand, trial_id
from sweep.config.trial_config import TrialConfig, canonical
from sweep.records import COMPLETED, SweepRecord
from sweep.store import OutcomeKey, Store
from sweep.text import redacted
from sweep.trial import provenance


@dataclass(frozen=True)
class Plan:
    """What a sweep asks for and which trials are left to run.

    Attributes:
        trials: all trials, by id.
        todo: those left to run.
        outcomes: the outcome of each trial when the plan was made, as :meth:`Store.outcomes` returns them.
        is_whole: whether ``trials`` are all that the sweep asks for; False for a retry of some.
        from_scratch: whether the trials ignore their checkpoints.
    """

    sweep: SweepConfig
    trials: dict[str, TrialConfig]
    todo: dict[str, TrialConfig]
    outcomes: dict[str, OutcomeKey]
    is_whole: bool = True
    from_scratch: bool = False

    @property
    def done(self) -> int:
        """How many trials the store has completed."""
        return len(self.trials) - len(self.todo)


def plan(sweep: SweepConfig, store: Store) -> Plan:
    """The plan of a sweep: its trials, and those that the store has not completed.

    Raises:
        InputError: the trials use your own images, which are not here, and the config has no fingerprint of them.
    """
    fingerprints.check_known(sweep.data)
    trials = {trial_id(trial): trial for trial in expand(sweep)}
    outcomes = store.outcomes(trials)
    done = {name for name, outcome in outcomes.items() if outcome.status == COMPLETED}
    return Plan(sweep, trials, {name: trial for name, trial in trials.items() if name not in done}, outcomes)


def record_sweep(planned: Plan, store: Store) -> None:
    """Store the sweep's config and trial ids, for status and retry. Does nothing for a retry or if they are stored.

    Raises:
        StoreError: the store is full or unreachable.
    """
    sweep, trials = planned.sweep, tuple(planned.trials)
    if not planned.is_whole or not trials:
        return
    config = canonical(sweep.as_dict())
    old = next((record for record in store.sweeps() if record.name == sweep.name), None)
    if old is None or (old.config, old.trials) != (config, trials):
        before = dict.fromkeys([*old.trials, *(old.earlier or ())]) if old else {}
        earlier = tuple(name for name in before if name not in planned.trials)
        now, versions = datetime.now(UTC), provenance.code()["versions"]
        store.write_sweep(SweepRecord(sweep.name, config, trials, now, socket.gethostname(), versions, earlier))


def ids_of(sweep: SweepConfig, store: Store) -> tuple[list[str], str]:
    """Ids of a sweep's trials. If its own images are not here: the ids of its last launch, and a note that says so.

    Raises:
        InputError: its own images are not here, and it was never launched into this store.
    """
    if fingerprints.is_unknown(sweep.data):
        launched = next((record for record in store.sweeps() if record.name == sweep.name), None)
        if launched is not None:
            when = f"{launched.launched:%Y-%m-%d %H:%M} UTC"
            note = f"no images in {redacted(sweep.data.path)!r}: these are the trials of the launch of {when}"
            return list(launched.trials), note
    return list(plan(sweep, store).trials), ""
