"""The images of a sweep: whether they are there, which files they are, and whether completed trials ran on the same."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from sweep.config import fingerprints
from sweep.config.config import SweepConfig
from sweep.errors import InputError
from sweep.records import COMPLETED
from sweep.store import Store
from sweep.text import one_line
from training import data


def check_there(sweep: SweepConfig) -> None:
    """Make sure the images are there before anything starts.

    Raises:
        InputError: they are not.
    """
    with data_errors():
        data.check(sweep.data)


def check_same(sweep: SweepConfig, trials: Iterable[str], store: Store) -> None:
    """Make sure that the images, if they are here, are those that the completed ones of some trials ran on.

    Raises:
        InputError: they are others, with both fingerprints.
    """
    rows = store.trials(trials, ["trial_id", "status", "data_content"]).to_pylist()
    recorded = {row["data_content"] for row in rows if row["status"] == COMPLETED}
    with data_errors():
        fingerprints.check_same(sweep.data, sweep.store, recorded)


def files_read(sweep: SweepConfig, of_streamed: bool = True) -> str:
    """One line on which files of the data are read and which are not; empty where that says nothing.

    Args:
        sweep: the sweep.
        of_streamed: also where a look at a million files takes its time.

    Raises:
        InputError: two sets lie in one folder, or files are missing.
    """
    if data.info(sweep.data.name).streamed and not of_streamed:
        return ""
    with data_errors():
        return one_line(data.summary(sweep.data))


@contextmanager
def data_errors() -> Iterator[None]:
    """Data that is not what it should be is the user's to mend."""
    try:
        yield
    except data.DataError as error:
        raise InputError(f"data.{one_line(str(error))}") from None
