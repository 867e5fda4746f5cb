"""A YAML file as a tree whose values know their file and line, or the ``--set`` that they came from."""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from sweep.errors import InputError
from sweep.text import one_line


@dataclass(frozen=True)
class Node:
    """A value of a config: a scalar, a list of nodes or a dict of nodes, and where it stands."""

    value: Any
    where: str  # "configs/digits.yaml:12" or "--set grid.seed"

    @property
    def is_set(self) -> bool:
        """Whether the value comes from ``--set``."""
        return self.where.startswith(_where_set(""))

    def error(self, key: str, message: str) -> InputError:
        """An error about this value, on one line, to be raised by the caller."""
        said = not key or self.where == _where_set(key)
        place = self.where if said else f"{self.where}: {one_line(key, 200)}"
        return InputError(f"{place}: {one_line(message)}")


_TAG = "tag:yaml.org,2002:"
_COLLECTIONS = (f"{_TAG}map", f"{_TAG}seq")
_SCALARS = tuple(_TAG + kind for kind in ("str", "int", "float", "bool", "null", "timestamp"))
_MOST_DEPTH = 20
_MOST_BYTES = 1_000_000  # PyYAML takes seconds for as many
_MOST_VALUES = 100_000  # aliases may multiply a few lines to more than fits into a machine
_LARGEST = 2**63  # no key needs a larger number, and torch and Parquet take none


class _Loader(yaml.SafeLoader):
    """SafeLoader whose numbers are decimal ones, as in YAML 1.2: 5e-4 is one, 1:30, 010 and 1_000 are text."""


_FLOAT = re.compile(
    r"^([-+]?([0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))$"
)
_WHOLE = re.compile(r"^[-+]?(0|[1-9][0-9]*)$")
_NUMBERS = {f"{_TAG}float": _FLOAT, f"{_TAG}int": _WHOLE}
_Loader.yaml_implicit_resolvers = {
    start: [rule for rule in rules if rule[0] not in _NUMBERS]
    for start, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
for _start in "-+.0123456789":
    _Loader.yaml_implicit_resolvers.setdefault(_start, []).extend(_NUMBERS.items())


def read_yaml(path: str | Path) -> Node:
    """The tree of a YAML file.

    Raises:
        InputError: no such file, not YAML, or the same key twice in one mapping.
    """
    source = one_line(str(path))
    try:
        with open(path, "rb") as file:
            data = file.read(_MOST_BYTES + 1)
        text = data.decode("utf-8") if len(data) <= _MOST_BYTES else ""
    except OSError as error:
        raise InputError(f"{source}: cannot read this config: {error.strerror}") from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n")
        raise InputError(f"{_place(source, line)}: cannot read this config: it is not UTF-8 text") from None
    if len(data) > _MOST_BYTES:
        raise InputError(f"{source}: more than {_MOST_BYTES:,} bytes: this is no config, or that of several sweeps")
    if text.count(",") + text.count("\n") > _MOST_VALUES:  # between any two values there is one of them
        raise InputError(f"{source}: more than {_MOST_VALUES:,} values: split it into several sweeps")
    root = _compose(text, source)
    return root if root.value is not None else replace(root, value={})


def plain(value: Any, where: str) -> Node:
    """The tree of a plain Python value, all of it from one place."""
    if isinstance(value, dict):
        return Node({key: plain(item, where) for key, item in value.items()}, where)
    if isinstance(value, (list, tuple)):
        return Node([plain(item, where) for item in value], where)
    return Node(value, where)


def override(root: Node, settings: Iterable[str]) -> Node:
    """``root`` with every ``key.subkey=value`` of ``settings`` put in its place. Commas make a list: ``seed=0,1,2``."""
    for setting in settings:
        key, equals, text = setting.partition("=")
        key, where = key.strip(), _where_set(key.strip())
        path = key.split(".")
        if not equals or not key or not all(path) or len(path) > _MOST_DEPTH:
            raise InputError(
                f"--set {one_line(setting, 200)}: write it as --set KEY=VALUE, for example --set grid.seed=0,1,2"
            )
        text = text.strip()
        listed = "," in text and text[0] not in "[{\"'"
        value = plain(bare(_compose(f"[{text}]" if listed else text, where, key)), where)
        root = _put(root, path, value, key)
    return root


def put(root: Node, key: str, value: Node) -> Node:
    """``root`` with a value at a dotted key."""
    return _put(root, key.split("."), value, key)


def _put(node: Node, path: list[str], value: Node, key: str) -> Node:
    if not path:
        return value
    if not isinstance(node.value, dict):
        raise value.error("", f"{key!r} leads into {bare(node)!r}, which has no keys of its own ({node.where})")
    child = node.value.get(path[0], Node({}, value.where))
    return replace(node, value={**node.value, path[0]: _put(child, path[1:], value, key)})


def bare(node: Node) -> Any:
    """The plain value, without places."""
    if isinstance(node.value, dict):
        return {key: bare(item) for key, item in node.value.items()}
    return [bare(item) for item in node.value] if isinstance(node.value, list) else node.value


def _where_set(key: str) -> str:
    return f"--set {one_line(key, 200)}"


def _place(source: str, line: int) -> str:
    """A line of the file, from 0; a ``--set`` has but one."""
    return source if source.startswith("--set") else f"{source}:{line + 1}"


def _compose(text: str, source: str, key: str = "") -> Node:
    """The tree of a text, which is the value of ``key``."""
    try:
        loader = _Loader(text)
    except yaml.reader.ReaderError as error:
        place = _place(source, text.count("\n", 0, error.position))
        character = f"U+{ord(text[error.position]):04X}"
        raise InputError(f"{place}: this is not valid YAML: the character {character} must not stand here") from None
    try:
        root = loader.get_single_node()
        return Node(None, _place(source, 0)) if root is None else _Builder(loader, source).tree(root, key)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or str(error)
        place = _place(source, mark.line if mark else loader.line)
        raise InputError(f"{place}: this is not valid YAML: {one_line(problem)}") from None
    except RecursionError:
        raise InputError(f"{_place(source, loader.line)}: nested too deeply") from None
    finally:
        loader.dispose()


class _Builder:
    """From YAML's nodes to ours: mappings and lists of text, numbers, true, false, null and dates, nothing else."""

    def __init__(self, loader: _Loader, source: str):
        self._loader, self._source, self._left = loader, source, _MOST_VALUES

    def tree(self, node: yaml.Node, key: str, depth: int = 0) -> Node:
        """The tree below a node, which is the value of ``key``."""
        here = Node(None, _place(self._source, node.start_mark.line))
        self._left -= 1
        if depth > _MOST_DEPTH:
            raise here.error(key, "nested too deeply, or an alias that contains itself")
        if self._left < 0:
            raise here.error(key, f"more than {_MOST_VALUES:,} values, with those that aliases repeat")
        if node.tag not in (_COLLECTIONS if isinstance(node, yaml.CollectionNode) else _SCALARS):
            raise here.error(key, f"this is not valid YAML here: a config has no values of the kind {node.tag!r}")
        if isinstance(node, yaml.MappingNode):
            return replace(here, value=self._mapping(node, key, depth))
        if isinstance(node, yaml.SequenceNode):
            return replace(here, value=[self.tree(item, key, depth + 1) for item in node.value])
        return replace(here, value=self._scalar(node, key, here))

    def _mapping(self, node: yaml.MappingNode, above: str, depth: int) -> dict[str, Node]:
        found: dict[str, Node] = {}
        for key_node, value_node in node.value:
            here = Node(None, _place(self._source, key_node.start_mark.line))
            name = self._key(key_node, above, here)
            key = f"{above}.{name}" if above else name
            if name in found:
                raise here.error(key, "stands twice; remove one of the two")
            found[name] = replace(self.tree(value_node, key, depth + 1), where=here.where)
        return found

    def _key(self, node: yaml.Node, above: str, here: Node) -> str:
        """A key as it is written: ``null: 1`` has the key "null"."""
        if isinstance(node, yaml.CollectionNode):
            raise here.error(above, "a key is a word, not a mapping or a list")
        name: str = node.value
        key = f"{above}.{name or repr(name)}" if above else name or repr(name)
        if node.tag == f"{_TAG}merge":
            raise here.error(key, "a config has no merge keys; write out what they stand for")
        if node.tag not in _SCALARS or not name:
            raise here.error(key, "this is no key; a key is a word")
        _check_text(name, key, here)
        return name

    def _scalar(self, node: yaml.Node, key: str, here: Node) -> Any:
        try:
            whole = _WHOLE.match(node.value)
            if node.tag in _NUMBERS and not (whole or _NUMBERS[node.tag].match(node.value)):
                raise ValueError("it is tagged as a number")
            value = self._loader.construct_object(node)
        except (ArithmeticError, AttributeError, LookupError, ValueError):  # what PyYAML makes of "!!int x"
            kind = node.tag.removeprefix(_TAG)
            raise here.error(key, f"this is not valid YAML: {node.value!r} cannot be read as {kind}") from None
        if isinstance(value, str):
            _check_text(value, key, here)
        if isinstance(value, float):
            return value + 0.0  # -0.0 is 0.0: equal values have one text, and name one trial
        if isinstance(value, int) and not -_LARGEST <= value < _LARGEST:
            raise here.error(key, f"{node.value} is too large a number for any key")
        return value


def _check_text(text: str, key: str, here: Node) -> None:
    """No control characters, and no halves of characters, which no file, path or terminal could take."""
    for character in text:
        if unicodedata.category(character) in ("Cc", "Cs") and character not in "\n\t":
            raise here.error(key, f"the character U+{ord(character):04X} must not stand in it")
