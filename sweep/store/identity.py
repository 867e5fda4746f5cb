"""Identity: ids of a store, which stay with its files when they are moved.

Two stores may hold the same trials with different outcomes and export both to one MLflow server. An id is the name of
a file. A store has several ids if two launches created one at the same time, or if stores were merged by copying files;
all processes then use the first. A copy of a store has the same ids and counts as the same store.
"""

import os
import re
import uuid

from sweep.errors import StoreError
from sweep.store.files import Files

FOLDER = "identity"
_CONTENT = b"The name of this file tells this store from others.\n"
_NAME = re.compile(r"([0-9a-f]{32})\.id")


def identities(files: Files) -> tuple[str, ...]:
    """The ids of a store, sorted; use the first. Creates one if there is none.

    The id of a store that cannot be written to is derived from its address, and so is that of a store from elsewhere
    whose folder of ids is a link out of it.
    """
    ids = _listed(files)
    if not ids:
        if _leads_out(files):
            return (uuid.uuid5(uuid.NAMESPACE_URL, files.name).hex,)
        try:
            files.put(f"{FOLDER}/{uuid.uuid4().hex}.id", _CONTENT)
        except StoreError:
            return (uuid.uuid5(uuid.NAMESPACE_URL, files.name).hex,)
        ids = _listed(files)
    return ids


def add_identities(source: Files, destination: Files) -> None:
    """Give a store the ids of one that was merged into it: MLflow's runs of either are its own then.

    Raises:
        StoreError: a store cannot be reached, or the destination is full.
    """
    if not _leads_out(destination):
        for name in set(_listed(source)) - set(_listed(destination)):
            destination.put(f"{FOLDER}/{name}.id", _CONTENT)


def _leads_out(files: Files) -> bool:
    """Whether the folder of ids is a link out of a local store."""
    if files.local is None:
        return False
    store = os.path.realpath(files.local)
    return os.path.realpath(os.path.join(store, FOLDER)) != os.path.join(store, FOLDER)


def _listed(files: Files) -> tuple[str, ...]:
    return tuple(sorted(match[1] for name in files.names(FOLDER) if (match := _NAME.fullmatch(name))))
