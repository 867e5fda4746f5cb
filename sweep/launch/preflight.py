"""The preflight: what is checked before a trial starts."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

import pruning
from pruning.masks import kept_count
from sweep.config import fingerprints
from sweep.config.config import SweepConfig
from sweep.config.remarks import config_warnings
from sweep.errors import InputError
from sweep.launch.plan import Plan
from sweep.records import COMPLETED
from sweep.store import Store
from sweep.text import number, one_line
from sweep.trial.dataset import check_enough
from sweep.trial.networks import NetworkSummary, network_warnings, summaries
from training import data


class GridCheck(NamedTuple):
    """The networks of a grid by architecture label, and one line per warning."""

    networks: dict[str, NetworkSummary]
    warnings: list[str]


def check_grid(sweep: SweepConfig) -> GridCheck:
    """Build the networks of a grid and check that its trials differ.

    Raises:
        InputError: a network cannot be built, or two sparsities give the same masks.
    """
    networks = summaries(sweep)
    check_sparsities(sweep, {label: network.prunable for label, network in networks.items()})
    return GridCheck(networks, [*config_warnings(sweep), *network_warnings(networks)])


def check_images(sweep: SweepConfig) -> None:
    """Check that there are enough images, for a plan: as far as their number is known without reading them.

    Raises:
        InputError: there are fewer than are held out, or than a round of pruning draws.
    """
    try:
        counts = data.counts(sweep.data)
    except data.DataError:  # what is wrong with the files is told where they are read
        return
    except ValueError as error:
        raise InputError(f"data.{error}") from None
    if counts is not None:
        rounded = 0 if sweep.data.train == 1 else sweep.data.classes or 0  # of a fraction of each class
        check_enough(sweep.pruning, counts.training + rounded)


def check_launch(planned: Plan, store: Store) -> None:
    """Check that the images are there and the same as before, and that the store can be written. Writes nothing.

    Raises:
        InputError: the images are missing or differ from those of completed trials.
        StoreError: the store cannot be written.
    """
    if planned.todo:
        with data_errors():
            data.check(planned.sweep.data)
    check_same_images(planned.sweep, planned.trials, store)
    if planned.todo:
        store.check_writable()


def check_sparsities(sweep: SweepConfig, weights: Mapping[str, int]) -> None:
    """Check that no two sparsities of a grid keep the same number of weights in every network that has both.

    Args:
        sweep: whose grid it is.
        weights: the number of prunable weights by architecture label.

    Raises:
        InputError: naming the first two that do.
    """
    networks: dict[float, set[str]] = {}  # the labels of those that each sparsity is used with
    for trial in sweep.grid.combinations():
        if pruning.find(trial.method.name).removes:
            networks.setdefault(trial.sparsity, set()).add(trial.architecture.label)
    groups = set(map(frozenset, networks.values()))
    seen: dict[tuple[frozenset[str], frozenset[str], tuple[int, ...]], float] = {}
    for sparsity, labels in networks.items():
        mine = frozenset(labels)
        shared = [(other, [label for label in weights if label in mine & other]) for other in groups]
        kept = {other: tuple(kept_count(weights[label], sparsity) for label in common) for other, common in shared}
        for other, counts in kept.items():
            if counts and (other, mine, counts) in seen:
                raise InputError(
                    f"grid.sparsity: {number(seen[other, mine, counts])} and {number(sparsity)} keep the same number of"
                    f" weights of every network ({', '.join(f'{count:,}' for count in counts)}), and would run the same"
                    " trials twice; remove one of them"
                )
        seen |= {(mine, other, counts): sparsity for other, counts in kept.items()}


def check_same_images(sweep: SweepConfig, trials: Iterable[str], store: Store) -> None:
    """Check that the images, if they are here, are those that the completed ones of ``trials`` used.

    Raises:
        InputError: they differ; with both fingerprints.
    """
    rows = store.trials(trials, ["trial_id", "status", "data_content"]).to_pylist()
    recorded = {row["data_content"] for row in rows if row["status"] == COMPLETED}
    with data_errors():
        fingerprints.check_same(sweep.data, sweep.store, recorded)


def files_read(sweep: SweepConfig, of_streamed: bool = True) -> str:
    """One line on which files of the data are read and which are ignored; empty where there is nothing to say.

    Args:
        sweep: the sweep.
        of_streamed: also for streamed data, where listing a million files takes a while.

    Raises:
        InputError: two data sets are in one folder, or files are missing.
    """
    if data.info(sweep.data.name).streamed and not of_streamed:
        return ""
    with data_errors():
        return one_line(data.summary(sweep.data))


@contextmanager
def data_errors() -> Iterator[None]:
    """Turn errors in the data, which the user can fix, into InputErrors."""
    try:
        yield
    except data.DataError as error:
        raise InputError(f"data.{one_line(str(error))}") from None
