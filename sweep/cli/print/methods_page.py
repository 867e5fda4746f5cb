"""docs/methods.md, written from the methods' docstrings, presets and options."""

import dataclasses
import inspect
import re
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from pruning import registry, scopes
from pruning.config import PruneConfig
from pruning.docstrings import attributes
from pruning.method import TIMES, Method
from pruning.schedules import SCHEDULES
from sweep.cli.print.markdown import (
    anchor,
    block,
    first_line,
    paragraphs,
    prose,
    references,
    sentence,
    table,
)

HEAD = """\
# The methods

Written by `sweep methods --markdown > docs/methods.md` from the docstrings in [`pruning/methods/`](../pruning/methods)
and from what the methods are registered with; a test holds this page to them. One of your own:
[adding-a-method.md](adding-a-method.md). What words mean: [words.md](words.md).

Notation: θ the initial weights, c ∈ {0, 1}ⁿ the mask, L the mean loss, g(θ⊙c) its gradient for every weight, removed
ones included, H its Hessian, t of T the round. s are the scores: of n weights, the n − round(sparsity·n) that score
highest are kept, ties broken by index.
"""
SHARED = ("rounds", "schedule", "scope", "floor")
SHARING = """\
They mean the same in every method that has them. One that is off (0, false) is no part of a trial's id.
"""
SETTINGS = """\
What all methods of a sweep share when they look at data: the keys of `pruning:` in the YAML
([`PruneConfig`](../pruning/config.py)).
"""
AUTHORS = "Authors' code:"
_TITLE = re.compile(r"(?P<name>[^(:]+?)(?: \((?P<paper>[^)]*)\))?(?:: (?P<claim>.*?))?\.?")


def page() -> str:
    """The whole page, in Markdown. Only shipped methods are in it: the page is the same on every machine."""
    methods = [method for method in registry.usable()[0] if method.shipped]
    modules: dict[str, list[Method]] = {}
    for method in methods:
        modules.setdefault(method.score.__module__, []).append(method)
    parts = [HEAD, "## Overview\n", *_overview(methods), "## Shared options\n", SHARING, _shared_options()]
    parts += ["## Shared settings\n", SETTINGS, _settings(), "## One by one\n"]
    for module, registered in modules.items():
        parts += _section(module, registered)
    return "\n".join(parts)


def heading(time: str) -> str:
    """The heading above the methods of one of :data:`pruning.method.TIMES`."""
    return "Controls" if time == "control" else time.capitalize()


def shown(value: Any) -> str:
    """A default as it is written in YAML."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def _overview(methods: Sequence[Method]) -> Iterator[str]:
    head = ("name", "score", "data", "rounds", "removed weights return", "paper")
    for time in TIMES:
        of_time = [method for method in methods if method.time == time]
        rows = [
            (_linked(m), prose(m.summary.rstrip(".")), _data(m), _rounds(m), _returns(m), references(m.paper))
            for m in of_time
        ]
        if rows:
            yield f"### {heading(time)}\n"
            yield table(head, rows)


def _linked(method: Method) -> str:
    return f"[`{method.name}`](#{anchor(_title(method.score.__module__)['name'])})"


def _data(method: Method) -> str:
    if method.masking is not None:
        return "training"
    return "–" if not method.data else _batches(method) or "batches"


def _batches(method: Method) -> str:
    fewest = method.batches(method.options)
    return f"{fewest} batches or more" if fewest > 1 else ""


def _rounds(method: Method) -> str:
    if not method.removes or method.time == "during training":
        return "–"
    return str(method.options.get("rounds", 1))


def _returns(method: Method) -> str:
    if not method.removes:
        return "–"
    return "yes" if method.recover or method.time == "during training" else "no"


def _shared_options() -> str:
    scoped = re.findall(r"^``(\w+)``\s+(.*(?:\n[ ]+.*)*)", inspect.getdoc(scopes) or "", re.MULTILINE)
    rows = [
        ("`rounds`", "the method's", "T: how often weights are scored and removed."),
        *((f"`schedule: {name}`", _default(name), first_line(function)) for name, function in SCHEDULES.items()),
        *((f"`scope: {name}`", _default(name), text.rstrip(";.") + ".") for name, text in scoped),
        ("`floor`", "0", attributes(scopes.select, "Args")["floor"].partition(";")[0].rstrip(".") + "."),
    ]
    return table(
        ("option", "default", "meaning"), [(option, default, sentence(text)) for option, default, text in rows]
    )


def _default(choice: str) -> str:
    return "yes" if choice in ("exponential", "global") else ""


def _settings() -> str:
    meaning = attributes(PruneConfig, "Attributes")
    rows = [(f"`{f.name}`", shown(f.default), sentence(meaning[f.name])) for f in dataclasses.fields(PruneConfig)]
    return table(("key", "default", "meaning"), rows)


def _section(module: str, methods: Sequence[Method]) -> Iterator[str]:
    title, file = _title(module), f"{module.replace('.', '/')}.py"
    papers = dict.fromkeys(references(method.paper) for method in methods if ":" in method.paper)
    sources = [title["paper"] and f"*{title['paper']}*", *papers, f"[{file}](../{file})"]
    yield f"### {title['name']}\n"
    yield f"{' · '.join(filter(None, sources))}\n"
    if title["claim"]:
        yield f"{sentence(title['claim'])}.\n"
    for paragraph in paragraphs(sys.modules[module]):
        yield block(re.sub(f"^{AUTHORS}", f"**{AUTHORS}**", paragraph))
    rows = [(f"`{m.name}`", _preset(m), _own(m), _shared(m)) for m in methods]
    yield table(("name", "preset", "options of its own", "shared options"), rows)


def _title(module: str) -> dict[str, str]:
    match = _TITLE.fullmatch(first_line(sys.modules[module]))
    assert match is not None  # every line matches
    return {key: prose(value or "") for key, value in match.groupdict().items()}


def _preset(method: Method) -> str:
    if not method.removes:
        return "keeps everything"
    times = {"during training": "the mask moves", "after training": "the dense network is trained first"}
    parts = [
        times.get(method.time) or (f"{method.rounds} rounds" if method.rounds else "one-shot"),
        "removed weights may come back" if method.recover else "",
        f"layer densities by `{method.scope}`" if method.scope != "global" else "",
        _batches(method),
    ]
    return "; ".join(filter(None, parts))


def _own(method: Method) -> str:
    own = {name: value for name, value in method.options.items() if name not in SHARED}
    return ", ".join(f"`{name}: {shown(value)}`" for name, value in own.items()) or "–"


def _shared(method: Method) -> str:
    shared = [name for name in SHARED if name in method.options]
    return ", ".join(f"`rounds: {method.options[name]}`" if name == "rounds" else f"`{name}`" for name in shared) or "–"
