"""The plan: the trials that a sweep asks for, and which of them are left to run."""

import socket
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from sweep.config import fingerprints
from sweep.config.config import SweepConfig
from sweep.config.grid import expand, trial_id
from sweep.config.trial_config import TrialConfig
from sweep.config.trial_identity import canonical
from sweep.records import COMPLETED, SweepRecord
from sweep.store import OutcomeKey, Store
from sweep.store.estimates import LaunchEstimate
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
        estimate: what the trials that are left are expected to take, to be stored and compared; None: not known.
    """

    sweep: SweepConfig
    trials: dict[str, TrialConfig]
    todo: dict[str, TrialConfig]
    outcomes: dict[str, OutcomeKey]
    is_whole: bool = True
    from_scratch: bool = False
    estimate: LaunchEstimate | None = None

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
    """Store the sweep's config, trial ids and estimate, for status, retry and report; at the start of its first trial.

    Does nothing for a retry, or if they are stored and there is no estimate.

    Raises:
        StoreError: the store is full or unreachable.
    """
    sweep, trials = planned.sweep, tuple(planned.trials)
    if not planned.is_whole or not trials:
        return
    config = canonical(sweep.as_dict())
    old = next((record for record in store.sweeps() if record.name == sweep.name), None)
    now, estimate = datetime.now(UTC), planned.estimate
    if old is None or estimate is not None or (old.config, old.trials) != (config, trials):
        before = dict.fromkeys([*old.trials, *(old.earlier or ())]) if old else {}
        earlier = tuple(name for name in before if name not in planned.trials)
        versions, expected = provenance.code()["versions"], old.estimate if old else None
        if estimate is not None:
            expected = replace(estimate, start_seconds=(now - estimate.made).total_seconds()).to_json()
        host = socket.gethostname()
        store.write_sweep(SweepRecord(sweep.name, config, trials, now, host, versions, earlier, expected))


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
