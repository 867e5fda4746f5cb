"""What runs in a worker process: one trial after another."""

import os
import pickle
import socket
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from typing import Any, NoReturn

import ray
import torch
from ray import tune
from ray.exceptions import RayTaskError

from sweep import imports
from sweep.engines.on_ray.coordinator import ELSEWHERE, LEAVE, TAKE, WAIT, Order
from sweep.engines.on_ray.machine_checks import Refusal, cached_images, check_code, check_images
from sweep.errors import StoreError
from sweep.records import INTERRUPTED, EpochRecord, Outcome, TrialRecord
from sweep.store.claims import Claims
from sweep.trial.attempts import renew_or_end, run_attempts
from sweep.trial.callbacks import Interrupted
from sweep.trial.code_version import CodeVersion
from sweep.trial.dataset import Seldom
from sweep.trial.preemptions import Preemptions
from sweep.trial.run import AnyDataset
from sweep.trial.settings import RunSettings
from sweep.trial.stage import EPOCH, Stage
from training.data import StreamedDataset

TELL_SECONDS = 5.0  # for an exiting process to reach the coordinator
REPORT_SECONDS = 1.0  # between reports of a trial: each takes the driver some milliseconds


@dataclass(frozen=True)
class RayWorkerSetup:
    """What all trials of a sweep share.

    Attributes:
        settings, claims: as for every engine.
        home: node id of the driver.
        folder: the driver's working folder.
        path: the driver's ``sys.path``.
        coordinator: handle of the actor :class:`sweep.engines.on_ray.coordinator.Coordinator`.
        code: the version of the code on the driver's machine.
        launch: names this launch, for the count of preemptions.
    """

    settings: RunSettings
    claims: Claims
    home: str
    folder: str
    path: tuple[str, ...]
    coordinator: Any
    code: CodeVersion
    launch: str = field(default_factory=lambda: uuid.uuid4().hex)

    def reachable_claims(self) -> "Claims | _RemoteClaims":
        """The claims; through the coordinator where the store is a folder on another machine."""
        elsewhere = self.claims.store.local is not None and _node() != self.home
        return _RemoteClaims(self.coordinator) if elsewhere else self.claims


class _RemoteClaims:
    """Claims on the driver's machine, as far as a trial needs them."""

    def __init__(self, coordinator: Any):
        self._coordinator = coordinator

    def load(self, trial_id: str) -> bytes | None:
        """As :meth:`sweep.store.claims.Claims.load`."""
        return self._ask(self._coordinator.load, trial_id)

    def save(self, trial_id: str, checkpoint: bytes) -> None:
        """As :meth:`sweep.store.claims.Claims.save`."""
        self._ask(self._coordinator.save, trial_id, checkpoint)

    def write(self, outcome: Outcome) -> TrialRecord:
        """As :meth:`sweep.store.claims.Claims.write`."""
        record: TrialRecord = self._ask(self._coordinator.write, outcome)
        return record

    def _ask(self, method: Any, *arguments: Any) -> Any:
        try:
            return ray.get(method.remote(*arguments))
        except RayTaskError as error:
            if isinstance(error.cause, StoreError):
                raise error.cause from None
            raise


class MachineTakenAway(Exception):
    """Ends a trial whose machine is being drained, with a checkpoint: Tune starts it again elsewhere."""


def run_one(config: dict[str, Any], setup: RayWorkerSetup, dataset: AnyDataset) -> dict[str, Any]:
    """The trainable: run the trial in ``config`` and store its outcome. ``dataset`` is in read-only shared memory.

    Returns:
        "record": the pickled TrialRecord, with "preemptions", how many there were in this launch; or "left": why it did
        not run; or "unstorable": the store's error; or "refused": why this machine may not run it.

    Raises:
        MachineTakenAway: the machine is being drained.
    """
    trial_id, attempt = config["trial"]["id"], uuid.uuid4().hex
    settings = replace(setup.settings, gpu_share=config["trial"]["gpu_share"] or None)
    begin(setup)
    trial = pickle.loads(config["trial"]["pickled"])
    try:
        if remark := check_code(trial, setup.code):
            setup.coordinator.remark.remote(remark)
        images = images_here(setup, trial_id, dataset)
        while (answer := ray.get(setup.coordinator.take.remote(trial_id, _node(), attempt))) == WAIT:
            time.sleep(REPORT_SECONDS)
        if answer == ELSEWHERE:
            raise MachineTakenAway("its machine is being taken away")
        if answer != TAKE:
            return {"left": answer}
        claims = setup.reachable_claims()
        reports = _Reports(setup.coordinator, trial_id)
        with _exit_code_noted(setup.coordinator, trial_id):
            outcome = run_attempts(
                trial,
                images,
                settings,
                ready=renew_or_end,
                on_epoch=reports.epoch,
                on_stage=reports.stage,
                stopping=reports.stopping,
                checkpoints=claims,
                preemptions=Preemptions(reports.preemptions, setup.launch),
            )
        if outcome.trial.status == INTERRUPTED and reports.order.leave and not reports.order.stop:
            ray.get(setup.coordinator.leave.remote(attempt))
            raise MachineTakenAway(f"its machine is being taken away{reports.position}")
        return {"record": pickle.dumps(claims.write(outcome)), "preemptions": reports.preemptions()}
    except Interrupted:  # while images were copied
        return {"left": LEAVE}
    except Refusal as error:
        return {"refused": str(error)}
    except StoreError as error:
        return {"unstorable": str(error)}
    except RayTaskError as error:
        if isinstance(error.cause, StoreError):
            return {"unstorable": str(error.cause)}
        raise


def images_here(setup: RayWorkerSetup, trial_id: str, dataset: AnyDataset) -> AnyDataset:
    """The images to read on this machine. A streamed set's cache is filled; or its files are compared with the
    launch's, once on each machine.

    Raises:
        Refusal: the cache cannot be filled, or the files are others.
        Interrupted: the launch stops.
        MachineTakenAway: the machine is being drained.
    """
    if not isinstance(dataset, StreamedDataset):
        return dataset
    if dataset.origin is not None:
        return cached_images(dataset, _FillReports(setup.coordinator, trial_id))
    if _node() != setup.home and not ray.get(setup.coordinator.has_checked_images.remote(_node())):
        check_images(dataset)
        setup.coordinator.note_checked_images.remote(_node())
    return dataset


class _FillReports:
    """Reports to the driver how far a cache is filled, and ends the filling where the trial would have to end."""

    def __init__(self, coordinator: Any, trial_id: str):
        self._coordinator, self._trial_id = coordinator, trial_id
        self._report = Seldom(lambda text: coordinator.remark.remote(f"{socket.gethostname()}: {text}"))

    def __call__(self, text: str) -> None:
        self._report(text)
        order: Order = ray.get(self._coordinator.order.remote(self._trial_id, _node()))
        if order.leave:
            raise MachineTakenAway("its machine is being taken away")
        if order.stop:
            raise Interrupted


def _node() -> str:
    return str(ray.get_runtime_context().get_node_id())


def begin(setup: RayWorkerSetup) -> None:
    """Prepare this process for a trial: release what earlier trials left, and find modules where the driver does."""
    imports.take_over(setup.path, same_machine=_node() == setup.home)
    with suppress(OSError):  # another machine may lack the folder
        os.chdir(setup.folder)
    torch.set_num_threads(setup.settings.compute.cpus_per_trial)  # of this thread; each trial runs in its own
    renew_or_end()


@contextmanager
def _exit_code_noted(coordinator: Any, trial_id: str) -> Iterator[None]:
    """Tell the coordinator the exit code if a trial calls ``os._exit``: Ray does not report it."""
    leave, process = os._exit, os.getpid()

    def tell_and_leave(status: int) -> NoReturn:
        if os.getpid() == process:  # and not one forked off it
            with suppress(Exception):
                ray.get(coordinator.note_exit.remote(trial_id, status), timeout=TELL_SECONDS)
        leave(status)

    os._exit = tell_and_leave
    try:
        yield
    finally:
        os._exit = leave


class _Reports:
    """Reports the epochs of one trial to the driver and asks for its orders, each at most once a second.

    Attributes:
        order: the last one.
    """

    def __init__(self, coordinator: Any, trial_id: str):
        self._coordinator, self._trial_id, self._next, self._ask = coordinator, trial_id, 0.0, 0.0
        self._stage: Stage | None = None
        self.order = self._next_order()

    def epoch(self, record: EpochRecord) -> None:
        """Called after every epoch."""
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + REPORT_SECONDS
            tune.report({"epoch": asdict(record)})

    def stage(self, stage: Stage) -> None:
        """Called with how far the trial is; it goes out with the next question whether to stop."""
        self._stage = stage

    def stopping(self) -> bool:
        """Called after every step. Once it was true it stays so."""
        if not self._is_over and time.monotonic() >= self._ask:
            self._ask = time.monotonic() + REPORT_SECONDS
            self.order = self._next_order()
        return self._is_over

    def preemptions(self) -> int:
        """How often the trial's machine was taken away in this launch."""
        return self.order.preemptions

    def _next_order(self) -> Order:
        order: Order = ray.get(self._coordinator.order.remote(self._trial_id, _node(), self._stage))
        return order

    @property
    def _is_over(self) -> bool:
        return self.order.stop or self.order.leave

    @property
    def position(self) -> str:
        """Where the trial will go on, for the end of a sentence."""
        return f" in epoch {self._stage.number}" if self._stage and self._stage.name == EPOCH else ""
