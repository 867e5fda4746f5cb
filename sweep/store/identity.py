"""Which store this is: ids that stay with its files wherever they are moved.

Two stores may hold the same trials of one sweep with different outcomes, and show them on one MLflow server. An id is
the name of a file: where two launches make one at the same time, or stores are merged by copying files, the store has
several ids, and everybody uses the same one of them. A copy of a store has its ids, and counts as the same store.
"""

import re
import uuid

from sweep.errors import StoreError
from sweep.store.files import Files

FOLDER = "identity"
_NAME = re.compile(r"([0-9a-f]{32})\.id")


def identities(files: Files) -> tuple[str, ...]:
    """The ids of a store, the one to use first; one is made where there is none.

    A store that cannot be written to has an id that follows from its address.
    """
    found = _listed(files)
    if not found:
        try:
            files.put(f"{FOLDER}/{uuid.uuid4().hex}.id", b"The name of this file tells this store from others.\n")
        except StoreError:
            return (uuid.uuid5(uuid.NAMESPACE_URL, files.name).hex,)
        found = _listed(files)
    return found


def _listed(files: Files) -> tuple[str, ...]:
    return tuple(sorted(match[1] for name in files.names(FOLDER) if (match := _NAME.fullmatch(name))))
