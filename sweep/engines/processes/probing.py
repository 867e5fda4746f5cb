"""A process of its own that measures what a trial takes of a GPU: the parent of the workers uses none itself."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from multiprocessing.context import ForkServerContext, SpawnContext

from sweep.engines.processes import worker
from sweep.engines.processes.process import how_it_ended, started
from sweep.engines.processes.worker import DISCONNECTED, ProcessSetup
from sweep.engines.sharing.probe import Answer, Request
from sweep.engines.stop import Stop

POLL_SECONDS = 0.2  # between two looks at a request to stop
CLOSE_SECONDS = 5.0  # for the process to end by itself


def measure(
    context: ForkServerContext | SpawnContext, setup: ProcessSetup, stop: Stop, requests: Sequence[Request]
) -> Iterator[Answer]:
    """The answers of the process, as they come; fewer where a stop is requested.

    If the process dies, those that it had not answered are answered by how it ended.
    """
    pipe, theirs = context.Pipe()
    process = started(lambda: context.Process(target=worker.measure, args=(theirs,), name="sweep probe"))
    theirs.close()
    unanswered = dict.fromkeys(request.subject.label for request in requests)
    with suppress(*DISCONNECTED):
        pipe.send((setup, requests))
    try:
        while stop.may_start:
            try:
                if not pipe.poll(POLL_SECONDS):
                    continue
                answer: Answer = pipe.recv()
            except (*DISCONNECTED, OSError):  # it has ended
                break
            unanswered.pop(answer.label, None)
            yield answer
        process.join(CLOSE_SECONDS if stop.may_start else 0.0)
        if stop.may_start:
            yield from (
                Answer(label, error=f"its process {how_it_ended(process.exitcode or 0)}") for label in unanswered
            )
    finally:
        pipe.close()
        process.kill()
        process.join()
        process.close()
