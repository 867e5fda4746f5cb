"""YAML with a memory: every value knows the file and line, or the ``--set``, that it came from."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from sweep.errors import InputError


@dataclass(frozen=True)
class Node:
    """A value of a config: a scalar, a list of nodes or a dict of nodes, and where it stands."""

    value: Any
    where: str  # "configs/digits.yaml:12" or "--set grid.seed"

    def error(self, key: str, message: str) -> InputError:
        """An error about this value, to be raised by the caller."""
        said = not key or self.where == f"--set {key}"
        return InputError(f"{self.where}: {message}" if said else f"{self.where}: {key}: {message}")


_PLAIN = ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq")


class _Loader(yaml.SafeLoader):
    """SafeLoader that reads 5e-4 as a number, as YAML 1.2 and every researcher do."""


_Loader.yaml_implicit_resolvers = {key: list(rules) for key, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()}
_FLOAT = re.compile(r"^[-+]?(\d+(\.\d*)?|\.\d+)[eE][-+]?\d+$")
_WHOLE = re.compile(r"^[-+]?(0|[1-9][0-9_]*)$")  # 010 and 1:30 are not the numbers 8 and 90 to anybody
for _rules in _Loader.yaml_implicit_resolvers.values():
    _rules[:] = [rule for rule in _rules if rule[0] != "tag:yaml.org,2002:int"]
for _start in "-+0123456789":
    _Loader.yaml_implicit_resolvers.setdefault(_start, []).append(("tag:yaml.org,2002:int", _WHOLE))
for _start in "-+.0123456789":
    _Loader.yaml_implicit_resolvers.setdefault(_start, []).insert(0, ("tag:yaml.org,2002:float", _FLOAT))


def read_yaml(path: str | Path) -> Node:
    """The tree of a YAML file.

    Raises:
        InputError: no such file, not YAML, or the same key twice in one mapping.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise InputError(f"{path}: cannot read this config: {reason}") from None
    root = _compose(text, str(path))
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
        key, where = key.strip(), f"--set {key.strip()}"
        if not equals or not key or not all(key.split(".")):
            raise InputError(f"--set {setting}: write it as --set KEY=VALUE, for example --set grid.seed=0,1,2")
        text = text.strip()
        listed = "," in text and text[0] not in "[{\"'"
        value = plain(bare(_compose(f"[{text}]" if listed else text, where)), where)
        root = _put(root, key.split("."), value, key)
    return root


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


def _compose(text: str, source: str) -> Node:
    loader = _Loader(text)
    try:
        root = loader.get_single_node()
        return Node(None, f"{source}:1") if root is None else _tree(root, loader, source, depth=0)
    except InputError:
        raise
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = _place(source, mark) if mark else source
        problem = getattr(error, "problem", None) or str(error).partition("\n")[0]
        raise InputError(f"{place}: this is not valid YAML: {problem}") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{source}: this is not valid YAML: {error}") from None
    finally:
        loader.dispose()


def _place(source: str, mark: Any) -> str:
    return source if source.startswith("--set") else f"{source}:{mark.line + 1}"


def _tree(node: yaml.Node, loader: _Loader, source: str, depth: int) -> Node:
    where = _place(source, node.start_mark)
    if depth > 20:
        raise InputError(f"{where}: nested too deeply, or an alias that contains itself")
    if isinstance(node, yaml.CollectionNode) and node.tag not in _PLAIN:
        raise InputError(f"{where}: this is not valid YAML here: a config has no values of the kind {node.tag!r}")
    if isinstance(node, yaml.MappingNode):
        found: dict[str, Node] = {}
        for key_node, value_node in node.value:
            key, place = str(loader.construct_object(key_node, deep=True)), _place(source, key_node.start_mark)
            if key in found:
                raise InputError(f"{place}: {key}: stands twice; remove one of the two")
            found[key] = replace(_tree(value_node, loader, source, depth + 1), where=place)
        return Node(found, where)
    if isinstance(node, yaml.SequenceNode):
        return Node([_tree(item, loader, source, depth + 1) for item in node.value], where)
    return Node(loader.construct_object(node), where)
