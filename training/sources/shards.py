"""Which Parquet files of a folder are one part of a data set: `train.parquet`, `train-00000-of-00012.parquet`.

Any other name that begins so, such as `train_small.parquet` or `test_ood.parquet`, is another set's.
"""

import re
from collections.abc import Iterable

from training.datasets import DataError

_SHARD = r"(?:[-_.]?(?P<number>\d+)(?:-of-(?P<count>\d+)(?:-[0-9a-f]+)?)?)?\.parquet"
_NAMED = 5  # missing files that a message names


def of_part(part: str, names: Iterable[str]) -> list[str]:
    """The files of one part, sorted: one unnumbered, or numbered ones, or all of those that say how many they are.

    Raises:
        DataError: a file is missing or there twice, or two sets lie there.
    """
    found = {name: match for name in sorted(names) if (match := re.fullmatch(part + _SHARD, name))}
    families: dict[str, list[str]] = {}
    for name, match in found.items():
        kind = (
            "unnumbered" if match["number"] is None else f"of {int(match['count'])}" if match["count"] else "numbered"
        )
        families.setdefault(kind, []).append(name)
    if len(families) > 1:
        sets = " and ".join(f"{files[0]}{' …' if len(files) > 1 else ''}" for files in families.values())
        raise DataError(f"path: two sets of {part} files lie in one folder, {sets}; leave one there, or move it")
    for kind, files in families.items():
        if kind.startswith("of "):
            _check_shards(part, int(kind.removeprefix("of ")), files, [int(found[name]["number"]) for name in files])
    return list(found)


def _check_shards(part: str, count: int, files: list[str], numbers: list[int]) -> None:
    twice = [files[place] for place, number in enumerate(numbers) if number in numbers[:place]]
    if twice:
        raise DataError(f"path: {twice[0]} is there a second time under another name; leave one of the two")
    first = 1 if 0 not in numbers and count in numbers else 0  # most count from 0
    missing = sorted(set(range(first, first + count)) - set(numbers))
    if missing:
        named = ", ".join(f"{part}-{number:05}-of-{count:05}" for number in missing[:_NAMED])
        raise DataError(f"path: {len(missing)} of {count} {part} files are missing: {named}; fetch them again")
    beyond = sorted(set(numbers) - set(range(first, first + count)))
    if beyond:
        raise DataError(f"path: {part} file number {beyond[0]} is there, of only {count}; remove what does not belong")
