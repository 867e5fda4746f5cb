"""Which Parquet files of a folder form a part of a data set: `train.parquet`, `train-00000-of-00012.parquet`.

Other names with the same beginning, such as `train_small.parquet` or `test_ood.parquet`, do not belong to the part.
"""

import re
from collections.abc import Iterable

from training.datasets import DataError

_SHARD = r"(?:[-_.]?(?P<number>\d+)(?:-of-(?P<count>\d+)(?:-[0-9a-f]+)?)?)?\.parquet"
_NAMED = 5  # most missing files that a message lists


def of_part(part: str, names: Iterable[str]) -> list[str]:
    """The files of one part, sorted: an unnumbered file, numbered files, or a complete set of "N of M" files.

    Raises:
        DataError: a file is missing or present twice, or there are two sets.
    """
    matches = {name: match for name in sorted(names) if (match := re.fullmatch(part + _SHARD, name))}
    families: dict[str, list[str]] = {}
    for name, match in matches.items():
        kind = (
            "unnumbered" if match["number"] is None else f"of {int(match['count'])}" if match["count"] else "numbered"
        )
        families.setdefault(kind, []).append(name)
    if len(families) > 1:
        sets = " and ".join(f"{files[0]}{' …' if len(files) > 1 else ''}" for files in families.values())
        raise DataError(f"path: two sets of {part} files in one folder, {sets}; remove or move one of them")
    for kind, files in families.items():
        if kind.startswith("of "):
            _check_shards(part, int(kind.removeprefix("of ")), files, [int(matches[name]["number"]) for name in files])
    return list(matches)


def _check_shards(part: str, count: int, files: list[str], numbers: list[int]) -> None:
    twice = [files[index] for index, number in enumerate(numbers) if number in numbers[:index]]
    if twice:
        raise DataError(f"path: {twice[0]} is present a second time under another name; remove one of the two")
    first = 1 if 0 not in numbers and count in numbers else 0  # most sets count from 0
    missing = sorted(set(range(first, first + count)) - set(numbers))
    if missing:
        named = ", ".join(f"{part}-{number:05}-of-{count:05}" for number in missing[:_NAMED])
        raise DataError(f"path: {len(missing)} of {count} {part} files are missing: {named}; fetch them again")
    beyond = sorted(set(numbers) - set(range(first, first + count)))
    if beyond:
        raise DataError(
            f"path: {part} file number {beyond[0]} is present, but there are only {count}; remove it if it belongs to"
            " another set"
        )
