"""What a worker sees to on its machine before it runs a trial: that code and images are those of the launch."""

import socket
from collections.abc import Callable

from sweep.config.trial_config import TrialConfig
from sweep.trial.code_version import CodeVersion, code_version, difference, other_releases
from training import streaming
from training.data import DataError, StreamedDataset

_cached: dict[str, StreamedDataset] = {}  # by content and place


class Refusal(Exception):
    """This machine may not run trials of this launch: it would give other results. The message says why."""


def check_code(trial: TrialConfig, launch: CodeVersion) -> str | None:
    """Compare the code of this machine with the launch's.

    Returns:
        A remark on libraries of another release; None without one.

    Raises:
        Refusal: this project's code, or the trial's own method or network, differs.
    """
    try:
        here = code_version([trial.method.name], [trial.architecture.name])
    except ValueError:  # the trial fails with the same error, which its record then has
        return None
    if different := difference(here, launch):
        raise Refusal(different)
    return other_releases(here, launch)


def cached_images(dataset: StreamedDataset, tell: Callable[[str], None]) -> StreamedDataset:
    """The set with the files of this machine's cache, which is filled where it is not full; once a process.

    Args:
        tell: as :func:`training.streaming.localised` takes it.

    Raises:
        Refusal: it cannot be filled.
    """
    key = f"{dataset.content} {dataset.origin and dataset.origin.cache}"
    if key not in _cached:
        try:
            _cached[key] = streaming.localised(dataset, tell)
        except DataError as error:
            raise Refusal(f"{socket.gethostname()}: data.{error}") from None
    return _cached[key]


def check_images(dataset: StreamedDataset) -> None:
    """Compare the names and sizes of the image files on this machine with the launch's.

    Raises:
        Refusal: a file is missing, or the sizes differ.
    """
    host, content = socket.gethostname(), dataset.content
    try:
        here = streaming.content_of_files(dataset)
    except DataError as error:
        raise Refusal(f"{host} does not have the images of the launch: data.{error}") from None
    if here != content:
        raise Refusal(
            f"{host} has other images than the launch: the fingerprint of their names and sizes is {here}, not"
            f" {content}; data.path must lead to the same files on all machines"
        )
