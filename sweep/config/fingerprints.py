"""Your own images in a trial's identity: their fingerprint, its cache, and the check against a store."""

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from sweep.errors import InputError
from training import data
from training.data import DataConfig
from training.fingerprint import FingerprintCache

_FILE = "fingerprints.json"
_AWAY = (
    ". Trials on your own images are named by what these are: where they do not lie, write data.fingerprint, which"
    " sweep plan shows where they do"
)


def cache(store: str) -> FingerprintCache:
    """In the folder of the store, where there is one, else with the user's other caches."""
    folders = [] if "://" in store else [Path(store).expanduser()]
    files = [folder / _FILE for folder in folders if folder.is_dir()]
    users = os.environ.get("XDG_CACHE_HOME", "")
    users = users if os.path.isabs(users) else os.path.expanduser("~/.cache")
    if os.path.isabs(users):  # or this user has no home
        files.append(Path(users, "sweep", _FILE))
    return FingerprintCache(files)


def filled_in(config: DataConfig, store: str) -> DataConfig:
    """A resolved config with the fingerprint of its images, if they are your own, lie here and are not pinned.

    Raises:
        DataError: they cannot be read.
    """
    if not data.info(config.name).is_own or config.fingerprint or not data.present(config):
        return config
    return replace(config, fingerprint=data.fingerprint(config, cache(store)))


def is_unknown(config: DataConfig) -> bool:
    """Whether the trials of a config have no ids here: your own images, which are not here, and no fingerprint."""
    return data.info(config.name).is_own and config.fingerprint is None


def check_known(config: DataConfig) -> None:
    """Make sure that the trials of a config have ids.

    Raises:
        InputError: the images are not here, and the config does not say which they are.
    """
    if is_unknown(config):
        try:
            data.check(config)
        except data.DataError as error:
            away = "" if data.present(config) or "cannot be listed" in str(error) else _AWAY
            raise InputError(f"data.{error}{away}") from None


def check_same(config: DataConfig, store: str, recorded: Iterable[str | None]) -> None:
    """Make sure that the images that lie here, if any, are those of the config and of the completed trials.

    Args:
        config: resolved.
        store: for the cache.
        recorded: fingerprints that completed trials of the same ids have recorded.

    Raises:
        InputError: they are others, with both fingerprints.
        DataError: they cannot be read.
    """
    others = {fingerprint for fingerprint in recorded if fingerprint}
    if not (others or config.fingerprint) or not data.present(config):
        return
    found = data.fingerprint(config, cache(store))
    data.check_fingerprint(config, found)
    if found and (others := others - {found}):
        raise InputError(
            f"data.path: the images and labels in {config.path!r} have the fingerprint {found}, and completed trials of"
            f" this sweep ran on {', '.join(sorted(others))}: point data.path at those, or name another store for these"
        )
