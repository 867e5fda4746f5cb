"""Several trainings on one GPU at once, against one after another: in processes, in processes under MPS, on streams.

Each training is captured. Processes run our loop; streams are those of one process, with the bare step as a graph
each, replayed in turn by one thread or by a thread each. A ratio of 4 would be four times the trainings an hour.
"""

import multiprocessing
import os
import queue
import tempfile
import threading
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any, NamedTuple

import click
import torch
from torch import nn

import pruning
from benchmarks import gpu, networks
from benchmarks.bare import BareStep
from benchmarks.measure import Row, Setup, seconds
from sweep.engines import mps
from sweep.errors import InputError

AT_ONCE = 4
PATIENCE = 60.0  # seconds for the next result of a worker: a service that hangs must not hang us


@dataclass(frozen=True)
class Subject:
    """What is trained at once.

    Attributes:
        images: an epoch has; epochs: that are timed, for about a second alone.
        sparsity: at which FORCE has left what is trained, cut small; None: the whole network.
        target: for the best way of packing.
    """

    name: str
    network: str
    images: int = 12_800
    epochs: int = 4
    batch: int = gpu.BATCH
    sparsity: float | None = None
    target: float | None = None


SUBJECTS = (
    Subject("VGG-16", "vgg16", target=1.4),
    Subject("ResNet-20", "resnet20", target=1.8),
    Subject("VGG-16 compacted", "vgg16", sparsity=0.995),
    Subject("ResNet-50", "resnet50", epochs=1),
)


class Measured(NamedTuple):
    """Seconds of one training alone, and of all at once."""

    alone: float
    together: float


def run(setup: Setup) -> Iterator[Row]:
    """All rows; none where there is no GPU."""
    if setup.device != "cpu":
        yield from rows(setup, SUBJECTS)


def rows(setup: Setup, subjects: tuple[Subject, ...]) -> Iterator[Row]:
    """A row a subject and way, and one a subject for the best way."""
    best: dict[str, Row] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _save_masks(setup, subjects, folder)
        for way, subject, measured in _all_ways(setup.device, subjects, folder):
            found = _row(way, subject, measured)
            yield found
            if subject.name not in best or found.value > best[subject.name].value:
                best[subject.name] = found
    for subject in subjects:
        if subject.target is not None and subject.name in best:
            top = best[subject.name]
            yield Row("packing", f"best: {top.name}", top.value, top.low, top.high, at_least=subject.target)


def _all_ways(device: str, subjects: tuple[Subject, ...], folder: Path) -> Iterator[tuple[str, Subject, Measured]]:
    """Processes first: none of this process's is on the GPU yet."""
    alone = {}
    for subject, measured in processes(subjects, device, folder, {}):
        alone[subject] = measured.alone
        yield "processes", subject, measured
    try:
        with mps.service() as environment:
            for subject, measured in processes(subjects, device, folder, environment):
                rate = f"{subject.images * subject.epochs / measured.alone:,.0f} images/s alone under it"
                yield f"processes under MPS, {rate}", subject, measured._replace(alone=alone[subject])
    except (InputError, WorkerFailed) as error:
        click.echo(f"MPS: {error}")
    for subject in subjects:
        for way, measured in streams(subject, device, folder).items():
            yield way, subject, measured


def _save_masks(setup: Setup, subjects: tuple[Subject, ...], folder: Path) -> None:
    """FORCE's masks, for all processes; on a GPU by a process of their own, which leaves nothing there."""
    if setup.device == "cpu":
        _make_masks(setup, subjects, folder)
        return
    maker = _context().Process(target=_make_masks, args=(setup, subjects, folder))
    maker.start()
    maker.join(PATIENCE)
    maker.kill()


def _make_masks(setup: Setup, subjects: tuple[Subject, ...], folder: Path) -> None:
    for subject in subjects:
        if subject.sparsity is not None:
            torch.save(networks.force_masks(subject.network, subject.sparsity, setup), folder / subject.name)


def _context() -> ForkServerContext:
    """For new processes: one import for all of them; CUDA starts in each."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


def _row(way: str, subject: Subject, measured: Measured) -> Row:
    images = subject.images * subject.epochs
    name = (
        f"{subject.name}: {AT_ONCE} trainings at once, {way}, against one after another"
        f" ({images / measured.alone:,.0f} images/s alone, {AT_ONCE * images / measured.together:,.0f} together)"
    )
    value = AT_ONCE * measured.alone / measured.together
    return Row("packing", name, value, value, value, ours=measured.together, reference=AT_ONCE * measured.alone)


def streams(subject: Subject, device: str, folder: Path) -> dict[str, Measured]:
    """The bare step as a graph, on a stream each of this process."""
    steps = [_bare(subject, device, folder).capture() for _ in range(AT_ONCE)]
    count = subject.images * subject.epochs // subject.batch
    plans = [step.plan(count) for step in steps]

    def one(step: BareStep, plan: torch.Tensor) -> None:
        with torch.cuda.stream(step.stream):  # on a CPU there is none, and this does nothing
            for draws in plan:
                step.next(draws)

    def in_turn() -> None:
        for together in zip(*plans, strict=True):
            for step, draws in zip(steps, together, strict=True):
                with torch.cuda.stream(step.stream):
                    step.next(draws)

    def in_threads() -> None:
        threads = [threading.Thread(target=one, args=pair) for pair in zip(steps, plans, strict=True)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    one(steps[0], plans[0])
    alone = seconds(lambda: one(steps[0], plans[0]), device)
    ways = {"streams, one thread": in_turn, "streams, a thread each": in_threads}
    return {way: Measured(alone, seconds(work, device)) for way, work in ways.items()}


def _bare(subject: Subject, device: str, folder: Path) -> BareStep:
    model, masks = network(subject, device, folder)
    return gpu.bare(model, device, subject.images, masks, subject.batch)


def network(subject: Subject, device: str, folder: Path) -> tuple[nn.Module, pruning.Masks]:
    """What is trained, and under which masks; FORCE's lie in a folder."""
    model = networks.build(subject.network, device)
    if subject.sparsity is None:
        return model, gpu.random_masks(model)
    small = networks.cut(model, torch.load(folder / subject.name, map_location=device))
    return small.model, small.masks


def processes(
    subjects: tuple[Subject, ...], device: str, folder: Path, environment: dict[str, str]
) -> Iterator[tuple[Subject, Measured]]:
    """Our loop in several processes, for all subjects in turn: one process at work, then all of them.

    Raises:
        WorkerFailed: one of them did; it says how.
    """
    context = _context()
    results, barrier = context.Queue(), context.Barrier(AT_ONCE)
    arguments = (subjects, device, folder, environment, barrier, results)
    workers = [context.Process(target=_work, args=(number, *arguments), daemon=True) for number in range(AT_ONCE)]
    for worker in workers:
        worker.start()
    try:
        for subject in subjects:
            spans = [_result(results) for _ in workers]
            alone = max(span.alone for span in spans)  # of those that did not train alone it is zero
            yield subject, Measured(alone, max(span.end for span in spans) - min(span.start for span in spans))
    finally:
        for worker in workers:
            worker.join(5)  # a client of MPS should leave by itself
            worker.kill()


class WorkerFailed(RuntimeError):
    """A process has raised or not answered in time."""


class Span(NamedTuple):
    """What a worker measured, by the clock that all processes of a machine share."""

    alone: float
    start: float
    end: float


def _result(results: Any) -> Span:
    try:
        result = results.get(timeout=PATIENCE)
    except queue.Empty:
        raise WorkerFailed(f"no answer of the processes in {PATIENCE:g} s") from None
    if isinstance(result, str):
        raise WorkerFailed(result)
    return result


def _work(
    number: int,
    subjects: tuple[Subject, ...],
    device: str,
    folder: Path,
    environment: dict[str, str],
    barrier: Any,
    results: Any,
) -> None:
    os.environ.update(environment)  # before CUDA starts
    torch.set_num_threads(1)
    try:
        for subject in subjects:
            results.put(_measure(number, subject, device, folder, barrier))
            gpu.forget(device)
    except threading.BrokenBarrierError:
        pass  # another's error has been told
    except BaseException:  # the parent shows it and ends the other processes; raised again, an exit too
        results.put(f"process {number}: {traceback.format_exc()}")
        barrier.abort()
        raise


def _measure(number: int, subject: Subject, device: str, folder: Path, barrier: Any) -> Span:
    model, masks = network(subject, device, folder)
    epoch = gpu.epochs(model, masks, device, images=subject.images, batch=subject.batch)

    def train() -> None:
        for _ in range(subject.epochs):
            epoch()

    epoch()  # captures
    alone = 0.0
    barrier.wait(PATIENCE)
    if number == 0:
        alone = seconds(train, device)
    barrier.wait(PATIENCE)
    start = time.perf_counter()
    seconds(train, device)
    return Span(alone, start, time.perf_counter())
