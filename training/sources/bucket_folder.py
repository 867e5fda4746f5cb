"""Images in folders of a bucket (s3://, gs://): the listings that folder.py makes of local ones.

A bucket with a million images takes minutes to list, so each is listed once a process.
"""

import functools
from collections import defaultdict
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
import pyarrow.fs

from training.datasets import DataError
from training.sources.listing import Listing, is_data, is_image


class Bucket(NamedTuple):
    """What a set's address holds.

    Attributes:
        parts: names of the folders, and of files beside them.
        classes: by part: the names of its class folders, sorted.
        files: by part: (path below the part, size), in the order in which folder.py reads local files.
    """

    parts: tuple[str, ...]
    classes: dict[str, list[str]]
    files: dict[str, list[tuple[PurePosixPath, int]]]


def listing(address: str, part: str) -> Listing:
    """The files of one part, with their sizes.

    Raises:
        DataError: the address cannot be listed, or a class has no images.
    """
    bucket = contents(address)
    numbers = {name: label for label, name in enumerate(bucket.classes[part])}
    files, labels, sizes, left_out = [], [], [], []
    for path, size in bucket.files[part]:
        if len(path.parts) > 1 and is_image(path.name):
            files.append(Path(part, path))
            labels.append(numbers[path.parts[0]])
            sizes.append(size)
        else:
            left_out.append(Path(part, path))
    if empty := sorted(numbers.keys() - {bucket.classes[part][label] for label in set(labels)}):
        raise DataError(f"path: {address}/{part}/{empty[0]} has no images; put some there, or remove the class")
    return Listing(files, np.asarray(labels, np.int64), left_out, np.asarray(sizes, np.int64))


@functools.lru_cache(maxsize=1)
def contents(address: str) -> Bucket:
    """Every file and folder at an address, from one listing of it.

    Raises:
        DataError: it cannot be listed.
    """
    try:
        filesystem, root = pyarrow.fs.FileSystem.from_uri(address)
        selector = pyarrow.fs.FileSelector(root, recursive=True, allow_not_found=True)
        entries = filesystem.get_file_info(selector)
    except (OSError, ValueError, ImportError) as error:
        raise DataError(f"path: {address!r} cannot be listed ({error}); check data.path and your access") from error
    parts: dict[str, None] = {}
    classes: dict[str, set[str]] = defaultdict(set)
    files: dict[str, list[tuple[PurePosixPath, int]]] = defaultdict(list)
    for entry in entries:
        part, *below = PurePosixPath(entry.path).relative_to(root.rstrip("/")).parts
        if not all(map(is_data, (part, *below))):
            continue
        is_folder = entry.type == pyarrow.fs.FileType.Directory
        if is_folder or below:
            parts[part] = None
        if len(below) > 1 or (below and is_folder):
            classes[part].add(below[0])
        if below and not is_folder:
            files[part].append((PurePosixPath(*below), entry.size))
    for found in files.values():
        # class by class; in a class, folder by folder
        found.sort(key=lambda file: (file[0].parts[0], str(file[0].parent), file[0].name))
    return Bucket(tuple(sorted(parts)), {part: sorted(names) for part, names in classes.items()}, dict(files))
