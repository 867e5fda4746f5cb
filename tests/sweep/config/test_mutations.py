"""Valid configs with one to three mistakes in them: a plan, or exit code 2 and one message that names the key.

Mistakes are made in the tree of values, in the text of the file, and in ``--set``. Whatever they are: no traceback, no
warning, and nothing written.
"""

import contextlib
import copy
import datetime
import json
import math
import os
import re
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sweep.cli import main
from sweep.config import yaml_tree as source
from sweep.text import one_line

CONFIGS = sorted(Path(__file__).parents[3].joinpath("configs").glob("*.yaml"))
COMMANDS = (["plan"], ["plan", "--json"], ["launch", "--dry-run"], ["launch", "--dry-run", "--json"])
LONG = "x" * 3000

EVERY_SECTION = """\
name: every-section
data: {name: digits, path: data, download: false, format: builtin, validation: 0.1, crop_padding: 1, flip: true, workers: 2}
grid:
  architecture:
    - vgg_digits
    - {name: vgg_digits, width: 8, depth: 4, init: orthogonal}
  method:
    - dense
    - {name: force, rounds: 20, schedule: linear, scope: layerwise}
    - {name: snip, floor: 0.1}
    - {name: grasp, temperature: 100.0}
    - {name: ntk_sap, epsilon: 0.1, inputs: 4, draws: 2, fresh_weights: false}
    - {name: prospr, steps: 2, learning_rate: 0.1, momentum: 0.5, first_order: true}
    - {name: phew, whole_kernels: true}
    - {name: rigl, drop: 0.2, every: 10, until: 0.5}
    - {name: set, drop: 0.2, every: 2}
    - {name: imp, rounds: 3, rewind_epoch: 2}
    - {name: magnitude_after, rounds: 2, retrain: 3, floor: 0.5}
  sparsity: [0.5, 0.9]
  seed: [0, 7]
  ablation: [none, shuffle_layerwise, reinitialize, invert]
  exclude:
    - {method: rigl, seed: 7}
    - {architecture: {name: vgg_digits, width: 8}, method: [{name: force, rounds: 20}, snip], sparsity: 0.5}
    - {ablation: invert, method: imp}
  include:
    - {method: synflow, sparsity: 0.99, seed: [3, 4], ablation: none}
    - {architecture: {name: vgg_digits, width: 4}, method: snip}
pruning: {batch_size: 64, batches: 2, sampling: balanced, fresh_batches: false, augment: false, loss: logit, mode: eval, precision: bf16}
training:
  epochs: 4
  batch_size: 64
  optimizer: sgd
  learning_rate: 5e-2
  momentum: 0.9
  nesterov: true
  weight_decay: 5e-4
  schedule: multistep
  milestones: [2, 3]
  decay: 0.2
  warmup_epochs: 0.5
  label_smoothing: 0.1
  precision: fp32
  channels_last: false
  accumulate: 2
compute: {cpus_per_trial: 1, gpus_per_trial: 0.5, compact: false, max_failures: 2, cluster: here}
store: runs/one
tracking: {enabled: true, uri: "sqlite:///runs.db"}
"""
OWN_DATA = """\
name: own.data
data:
  name: parquet
  path: somewhere
  classes: 12
  image_size: 16
  image_column: img
  label_column: label
  fingerprint: 0123456789abcdef
  validation: 100
grid: {architecture: [resnet20, {name: vgg11, width: 0.25}], method: [snip, erk], sparsity: 0.9, seed: 0}
tracking: {enabled: false}
"""
OWN_CODE = """\
name: own_code
data: {name: image_folder, path: pictures, fingerprint: 00112233445566ff, classes: 5, image_size: 12, flip: false}
grid:
  architecture:
    - {name: "own_of_mutations:build", depth: 3, widths: [4, 8], act: relu, scale: 2.5, bias: true, more: [a, [1, 2]]}
  method:
    - "own_of_mutations:score"
    - {name: "own_of_mutations:score", power: 2.0, kind: b, flag: false, sizes: [3, 4]}
  sparsity: [0.9, 0.99]
  seed: [1, 2]
training: {optimizer: adam, learning_rate: 1e-3, schedule: cosine, epochs: 2}
"""
PAIRED = """\
name: paired
data: digits
grid:
  paired:
    - {architecture: vgg_digits, sparsity: [0.5, 0.9]}
    - {architecture: {name: vgg_digits, width: 8, label: narrow}, sparsity: 0.8}
  method: [snip, {name: force, rounds: 20, label: FORCE-20}]
  seed: [0, 1]
  exclude: [{method: FORCE-20, seed: 1}, {architecture: narrow, method: snip}]
  include: {method: FORCE-20, seed: 2}
tracking: {enabled: false}
"""
OWN = """\
import math
from torch import nn


def build(classes, depth, widths=(8, 8), act="relu", scale=1.0, bias=True, note=None, **more):
    return nn.Sequential(nn.Flatten(1), nn.Unflatten(1, (1, -1)), nn.AdaptiveAvgPool1d(64), nn.Flatten(), nn.Linear(64, classes))


def nested(classes, widths=[[1, 2], [3]]):
    return nn.Sequential(nn.Flatten(1), nn.Unflatten(1, (1, -1)), nn.AdaptiveAvgPool1d(64), nn.Flatten(), nn.Linear(64, classes))


def raising(classes):
    raise RuntimeError("first line\\nsecond line")


def score(problem, *, power=1.0, kind="a", flag=True, sizes=(1, 2)):
    "Mine."
"""


# --- trees


class Pairs(list):
    """A mapping as (key, value) pairs, in which a key may stand twice."""


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data):
        return True


_Dumper.add_representer(
    Pairs,
    lambda dumper, pairs: yaml.MappingNode(
        "tag:yaml.org,2002:map",
        [(dumper.represent_data(key), dumper.represent_data(value)) for key, value in pairs],
        flow_style=None if pairs else True,
    ),
)


def tree(value):
    """Plain values with mappings as pairs."""
    if isinstance(value, dict):
        return Pairs((key, tree(item)) for key, item in value.items())
    return [tree(item) for item in value] if isinstance(value, list) else value


def dumped(value, flow=None):
    width = float("inf")  # one line a key
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, width=width, default_flow_style=flow)


@dataclass
class Spot:
    """A value in a tree: where it is, its dotted name, and that of what it is in."""

    inside: list
    position: int
    name: str
    above: str

    @property
    def value(self):
        found = self.inside[self.position]
        return found[1] if isinstance(self.inside, Pairs) else found

    @value.setter
    def value(self, new):
        pairs = isinstance(self.inside, Pairs)
        self.inside[self.position] = (self.inside[self.position][0], new) if pairs else new


def spots(value, name=""):
    """Every value below this one."""
    if isinstance(value, Pairs):
        inner = [(item, joined(name, key)) for key, item in value]
    else:
        inner = [(item, name) for item in value] if isinstance(value, list) else []
    for position, (item, below) in enumerate(inner):
        yield Spot(value, position, below, name)
        yield from spots(item, below)


def settable(value, name=""):
    """Those that ``--set`` leads to: not in lists."""
    for position, (key, item) in enumerate(value):
        yield Spot(value, position, joined(name, key), name)
        if isinstance(item, Pairs):
            yield from settable(item, joined(name, key))


def joined(name, key):
    """A dotted name as messages show it."""
    shown = key if key and isinstance(key, str) else dumped(key).partition("\n")[0]
    return f"{name}.{shown}" if name else shown


# --- mistakes in the tree

WORDS = [
    "digits", "cifar10", "imagenet", "image_folder", "parquet", "folder", "auto", "dense", "force", "snpi", "rigl", "imp",
    "magnitude_after", "vgg_digits", "resnet18", "vgg19", "none", "invert", "linear", "erk", "global", "orthogonal",
    "sgd", "adamw", "cosine", "multistep", "bf16", "fp16", "balanced", "logit", "eval",
]  # fmt: skip
TEXTS = [
    "", " ", "~", "é", "日本", "\u2028", LONG, "a\nb", "\n", "a\tb", "a\0b", "\ud800", "\x1b[31m", "\x85", "a/../b",
    "../../etc", "/proc/self/mem", "a/" * 3000, "99%", "150%", "1.2.3%", ".%", " ٩٩% ", "1e400", "5e-4", "0x10", "1:30",
    "010", "[/b]", "[bold]", "{x}", "%s", "{0}", "null", "yes", "-", ":", "a: b", "a: b: c", "#", "'", '"', "*", "&",
    "://", "foo://bar", "s3://", "gs://", "file://", "file:///tmp/x y", "file:relative", "http://[", "~no_such_user/x",
    ":x", "x:", ":", "a:b:c", "os:getcwd", "os:path", "os:sep", "nonexistent.module:x", ".relative:x", "..:x", "os.:x",
    "os\n:getcwd", "builtins:print", "builtins:abs", "builtins:dict", "math:hypot", "torch.nn:Linear",
    "own_of_mutations:raising", "own_of_mutations:nested", "own_of_mutations:score", "own_of_mutations:build",
    "own_of_mutations:math",
]  # fmt: skip
NUMBERS = [
    0, 1, -1, 2, 3, 100, 2**31, 2**31 - 1, 2**53 + 1, 2**63 - 1, 2**63, 10**30, -(10**30), 10**400, 0.0, -0.0, 0.5, 0.999,
    1.0, 1.5, 99.5, -0.1, 1e308, -1e308, 1e-320, math.nan, math.inf, -math.inf,
]  # fmt: skip
ODD = [
    None, True, False, datetime.date(2001, 2, 3), datetime.datetime(2001, 2, 3, 4, 5), b"bytes", [], Pairs(), [[]],
    [[[1]]], [None], [1, [2]], [Pairs()], [1, 1], [0.5, True], Pairs([("a", Pairs([("b", 1)]))]), Pairs([("name", "x")]),
    Pairs([("name", None)]), Pairs([("name", ["a"])]), Pairs([(None, 1)]), Pairs([("name", "force"), ("name", "snip")]),
    Pairs([("rounds", 3)]),
]  # fmt: skip


def nested(levels):
    value = 1
    for _ in range(levels):
        value = [value]
    return value


SCALARS = (
    st.sampled_from(NUMBERS) | st.sampled_from(TEXTS) | st.sampled_from(WORDS) | st.integers() | st.floats() | st.text()
)
ANY = (
    SCALARS
    | st.sampled_from(ODD)
    | st.sampled_from([nested(5), nested(30)])
    | st.lists(SCALARS, max_size=3)
    | st.recursive(
        SCALARS | st.none() | st.booleans(),
        lambda inner: st.lists(inner, max_size=3) | st.lists(st.tuples(st.text(), inner), max_size=3).map(Pairs),
        max_leaves=6,
    )
)


def like(draw, value):
    """What may stand in a value's place: copies, for a tree to be changed in."""
    return draw(st.sampled_from([near(value), near(value), ANY])).map(copy.deepcopy)


def near(value):
    """Values of the same kind."""
    if isinstance(value, bool):
        return st.booleans()
    if isinstance(value, int):
        return st.sampled_from([0, 1, 2, value + 1, value * 2]) | st.integers(0, 300)
    if isinstance(value, float):
        return st.sampled_from([0, 1, value / 2, value * 2]) | st.floats(0, 1)
    if isinstance(value, str):
        return st.sampled_from(WORDS) | st.sampled_from([None, "data", "a"])
    if isinstance(value, Pairs):
        return st.integers(0, len(value)).map(lambda place: Pairs([*value[:place], *value[place + 1 :]]))
    return st.lists(st.sampled_from(value), max_size=4) if isinstance(value, list) and value else st.just([0])


KEYS = (
    st.sampled_from(
        ["name", "nmae", "epochs", "seed", "x", "", " ", "a.b", "a: b", "é", LONG, "a\nb", "a\0b", "\x1b[31m"]
    )
    | st.sampled_from([1, 1.5, None, True, math.nan, datetime.date(2001, 2, 3), 10**400, "<<", "=", "\ud800"])
    | st.text()
)


def replace(draw, root):
    spot = draw(st.sampled_from(list(spots(root))))
    spot.value = draw(like(draw, spot.value))
    return {spot.name}


def delete(draw, root):
    spot = draw(st.sampled_from(list(spots(root))))
    del spot.inside[spot.position]
    return {spot.name}


def duplicate(draw, root):
    spot = draw(st.sampled_from(list(spots(root))))
    spot.inside.insert(draw(st.integers(0, len(spot.inside))), copy.deepcopy(spot.inside[spot.position]))
    return {spot.name}


def rename(draw, root):
    spot = draw(st.sampled_from([spot for spot in spots(root) if isinstance(spot.inside, Pairs)]))
    old, value = spot.inside[spot.position]
    new = draw(KEYS | st.sampled_from(typos(old)))
    spot.inside[spot.position] = (new, value)
    return {spot.name, joined(spot.above, new)}


def add(draw, root):
    inside = draw(
        st.sampled_from([("", root), *((s.name, s.value) for s in spots(root) if isinstance(s.value, Pairs))])
    )
    key = draw(KEYS | st.sampled_from(WORDS))
    inside[1].insert(draw(st.integers(0, len(inside[1]))), (key, draw(ANY.map(copy.deepcopy))))
    return {joined(inside[0], key)}


def swap(draw, root):
    one, other = draw(st.sampled_from(list(spots(root)))), draw(st.sampled_from(list(spots(root))))
    one.value, other.value = copy.deepcopy(other.value), copy.deepcopy(one.value)
    return {one.name, other.name}


def reshape(draw, root):
    """Wrap in a list or a mapping, unwrap, or write as text."""
    spot = draw(st.sampled_from(list(spots(root))))
    value = spot.value
    ways: list[Any] = [[value], [[value]], Pairs([("name", value)]), Pairs([("value", value)]), [value, value]]
    if isinstance(value, list) and value:
        ways.append(value[0][1] if isinstance(value, Pairs) else value[0])
    if isinstance(value, (int, float)):
        ways += [str(value), f"{value}%", -value, value * 10, value * 100, value / 10]
    spot.value = copy.deepcopy(draw(st.sampled_from(ways)))
    return {spot.name}


MISTAKES = [*[replace] * 7, *[reshape] * 4, *[delete] * 3, swap, swap, duplicate, rename, add]


def typos(key):
    text = str(key)
    return [text[1:], text[:-1], text.upper(), f"{text}s", f" {text} ", text.replace("_", "-"), text + text]


# --- mistakes in the text

CHARACTERS = [
    *":{}[]-#&*!|>'\"%@`,?=~<. \n\r\t\\", "\0", "\x07", "\ufeff", "\x85", "\u2028", "\xa0", "é", "\ud800", "\U0001f600",
    "\ufffe", "  ", "\n\n", ": ", "- ", "# ",
]  # fmt: skip
LINES = [
    "<<: *defaults", "<<: {a: 1}", "a: &a [*a]", "a: *nope", "---", "...", "--- {}", "%YAML 1.1", "%TAG ! tag:x,2000:",
    "? x", "? [a, b]", "? {a: b}", "- x", "x", "\tx: 1", "  x: 1", "{", "[", "'", '"', "|", "@", "`", "!!python/none",
    "a: !!python/object/apply:os.system ['true']", "!!python/object/apply:os.system [true]: 1", "null: 1", "1: 1",
    "x: " + "[" * 40, "x: " + "{a: " * 40, "&a a: *a", "=: 1", "x: =", "x: <<",
]  # fmt: skip
TAGGED = [
    "!!binary aGk=", "!!binary '!'", "!!binary é", "!!set {a, b}", "!!set x", "!!omap [a: 1]", "!!pairs [a: 1]", "!!map x",
    "!!seq x", "!!str [a]", "!!int ''", "!!int x", "!!int 0x1F", "!!float ''", "!!float x", "!!bool x", "!!bool ''",
    "!!null x", "!!timestamp x", "!!timestamp 2001-99-99", "2001-99-99", "2001-02-03", "!custom x", "!custom [x]", "! x",
    "!!merge x", "!!value x", "!!python/name:os.system", "!!python/object/apply:os.system ['true']", "!<tag:x> y",
    "!!str 1", "!!float 1", "!!int 1_000", "0b101", "0o17", "0x1F", "1:30", "1:30.5", "+1", "1_0.5", ".5", "1.", "1e5",
    "1e400", "-1e400", ".nan", ".inf", "9" * 5000, '"\\0"', '"\\ud800"', '"\\x1b"', "|", ">", "| x", "&a", "*a", "&a 1",
    "[1, 2", "{a: 1", "'x", '"x', '"\\q"', "a: b", "- a", "%x", "@x", "`x`", "[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]",
]  # fmt: skip


def mistyped(draw, data):
    """The bytes of a file with one mistake in them."""
    text = data.decode("utf-8", "surrogateescape")
    typed = draw(st.sampled_from([in_a_character, in_a_line, in_a_value]))(draw, text)
    if draw(st.sampled_from([*[False] * 15, True])):
        at = draw(st.integers(0, len(data)))
        return data[:at] + draw(st.binary(min_size=1, max_size=3)) + data[at:]  # most often no UTF-8
    return typed.encode("utf-8", "surrogatepass" if "\ud800" in typed else "surrogateescape")


def in_a_character(draw, text):
    """One removed, put in or exchanged, or the file cut off."""
    at, new = draw(st.integers(0, len(text))), draw(st.sampled_from(CHARACTERS))
    rest = draw(st.sampled_from([text[at + 1 :], text[at + 2 :], new + text[at:], new + text[at + 1 :], ""]))
    return text[:at] + rest


def in_a_line(draw, text):
    """One put in, indented otherwise, or moved."""
    lines = text.split("\n")
    row, other = (draw(st.integers(0, len(lines) - 1)) for _ in range(2))
    line = lines[row]
    indent = line[: len(line) - len(line.lstrip())]
    new = indent + draw(st.sampled_from(LINES))
    changed = draw(
        st.sampled_from([[new, line], [f" {line}"], [f"\t{line}"], [f"{indent}- {line}"], [line.lstrip()], []])
    )
    lines[row : row + 1] = changed
    if not changed:
        lines.insert(other, line)
    return "\n".join(lines)


def in_a_value(draw, text):
    """Another in its place, or something before it: a tag, an anchor."""
    lines = text.split("\n")
    row = draw(st.integers(0, len(lines) - 1))
    key, _, value = lines[row].partition(":")
    before = draw(st.sampled_from(["&a", "!!str", "!!set", "!!int", "!x", "|", ">"]))
    lines[row] = draw(st.sampled_from([f"{key}: {before}{value}", *[f"{key}: {draw(st.sampled_from(TAGGED))}"] * 3]))
    return "\n".join(lines)


# --- cases


@dataclass
class Case:
    """What is run, and the keys of which one has to be named if it is refused; None: the file and line will do."""

    command: list[str]
    config: bytes
    keys: set[str] | None
    settings: list[str]
    file: str = "mine.yaml"

    @property
    def arguments(self):
        command, *flags = self.command
        return [command, f"../{self.file}", *flags, *(a for s in self.settings for a in ("--set", s))]


SMALL = [path.read_bytes() for path in CONFIGS if path.stem.startswith("digits") or path.stem == "cifar10_small"]
LARGE = [path.read_bytes() for path in CONFIGS]
RICH = [text.encode() for text in (EVERY_SECTION, PAIRED, OWN_DATA, OWN_CODE)]
TREES = {text: tree(yaml.load(text, Loader=source._Loader)) for text in (*LARGE, *RICH)}


@st.composite
def cases(draw):
    start = draw(st.sampled_from([*SMALL, *SMALL, *RICH, *RICH, *RICH, *LARGE]))
    command, many = draw(st.sampled_from(COMMANDS)), draw(st.sampled_from([1, 1, 1, 2, 2, 3]))
    file = draw(st.sampled_from(["mine.yaml", "mine.yaml", "mine.yaml", "my own (1).yaml"]))
    kind = draw(st.sampled_from(["tree", "tree", "tree", "text", "text", "set"]))
    if kind == "tree":
        return Case(command, *in_the_tree(draw, copy.deepcopy(TREES[start]), many), [], file)  # type: ignore[call-arg]
    if kind == "set":
        return Case(command, start, *in_settings(draw, TREES[start], many), file)  # type: ignore[call-arg]
    for _ in range(many):
        start = mistyped(draw, start)
    return Case(command, start, None, [], file)


def in_the_tree(draw, root, many):
    """The bytes of a file, and the keys that are mistaken."""
    keys = set()
    for _ in range(many):
        if root:
            keys |= draw(st.sampled_from(MISTAKES))(draw, root)
    flow = draw(st.sampled_from([False, False, None, True]))
    return dumped(root, flow).encode("utf-8", "surrogatepass"), keys


def in_settings(draw, root, many):
    """The keys that are mistaken, and what ``--set`` is told."""
    keys, told = set(), []
    for _ in range(many):
        spot = draw(st.sampled_from(list(settable(root))))
        name = draw(st.sampled_from([*[spot.name] * 9, f"{spot.name}.x", spot.above, draw(st.text(max_size=5))]))
        usual = on_one_line(draw(like(draw, spot.value)))
        text = draw(st.sampled_from([*[usual] * 6, draw(st.sampled_from(TAGGED)), draw(st.text())]))
        told.append(f"{name}={text}")
        key = told[-1].partition("=")[0]
        keys |= {key, key.strip()}
    return keys, told


def on_one_line(value):
    return dumped(value, True).removesuffix("...\n").strip("\n")


# --- what is asked of the answer


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An empty folder to work in, the config beside it, and networks of one's own that can be imported."""
    with pytest.MonkeyPatch.context() as patch:
        code = tmp_path_factory.mktemp("code")
        (code / "own_of_mutations.py").write_text(OWN)
        empty = tmp_path_factory.mktemp("work") / "empty"
        empty.mkdir()
        patch.setattr(sys, "path", [str(code), str(empty), *sys.path])
        yield empty


def answer(case, folder):
    (folder.parent / case.file).write_bytes(case.config)
    try:
        with contextlib.chdir(folder), warnings.catch_warnings():
            warnings.simplefilter("error")
            return CliRunner().invoke(main, case.arguments)
    finally:
        (folder.parent / case.file).unlink()


# What is wrong together with another key may be told of either.
RELATED = {
    "data": ["grid.architecture"],
    "data.name": ["data", "grid.architecture"],
    "data.format": ["data.image_column", "data.label_column"],
    "data.label_column": ["data.image_column"],
    "data.fingerprint": ["data.path"],
    "data.image_size": ["grid.architecture"],
    "training": ["grid.method"],
    "training.epochs": ["grid.method"],
    "training.batch_size": ["training.accumulate"],
    "training.optimizer": ["training.nesterov"],
    "training.momentum": ["training.nesterov"],
    "training.schedule": ["training.milestones"],
    "grid.architecture.name": ["grid.architecture"],
    "grid.method.name": ["grid.method"],
    "grid.method.scope": ["grid.method.floor"],
}


def wrong(case, folder):
    """What is wrong with the answer to a case, or None."""
    result = answer(case, folder)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        return f"raised {type(result.exception).__name__}: {result.exception}"
    if left := sorted(os.listdir(folder)) + sorted(path for path in os.listdir(folder.parent) if path != folder.name):
        return f"wrote {left}"
    if result.exit_code == 0:
        return None if is_plan(result.stdout, case) and not result.stderr else f"is no plan: {result.output!r}"
    said = re.fullmatch(r"error: (.{5,2000})\n", result.stderr)
    if result.exit_code != 2 or result.stdout or not said or "Traceback" in said[1] or not said[1].isprintable():
        return f"exit code {result.exit_code} and not one message: {result.output!r}"
    return None if names_it(said[1], case) else f"names nothing of {case.keys}: {said[1]}"


def is_plan(text, case):
    if "--json" in case.command:
        return {"sweep", "done", "missing", "trials"} <= json.loads(text).keys()
    return re.search(r": \d+ trials, \d+ completed, \d+ to run\n$", text)


def names_it(message, case):
    """Whether a message says where the mistake is."""
    place = re.match(rf"\.\./{re.escape(case.file)}:(\d+): ", message)
    if case.keys is None:
        if place:
            return 1 <= int(place[1]) <= len(re.split(rb"\r\n|[\n\r]|\xc2\x85|\xe2\x80[\xa8\xa9]", case.config))
        return message.startswith(("grid.architecture: ", "store: ", "data.path: "))
    said = [message[place.end() :] if place else message]
    if message.startswith("--set "):
        said.append(message.removeprefix("--set "))
        said += [said[1].removeprefix(f"{one_line(key, 200)}: ") for key in case.keys]
    return any(about(key, text) for key in (one_line(key, 200) for key in case.keys) for text in said)


GRID_LISTS = ["grid.exclude", "grid.include", "grid.paired"]  # they name values of the axes


def related(key):
    """Keys that a message may name instead."""
    of_grid = GRID_LISTS if key.partition(".")[0] == "grid" else []
    paired = ["grid.architecture", "grid.sparsity"] if key.startswith("grid.paired") else []
    of_method = GRID_LISTS if "grid.method" in RELATED.get(key, []) else []
    return [*RELATED.get(key, []), *of_grid, *paired, *of_method]


def about(key, said):
    """Whether a message begins with the key, one below it, one that goes with it, or with what it is an option of."""
    parts = key.split(".")
    beginnings = [f"{name}{end}" for name in (key, *related(key)) for end in ":.=,"]
    beginnings += [f"{'.'.join(parts[:depth])}:" for depth in range(2, len(parts))]
    return said.startswith(tuple(beginnings))


EXAMPLES = int(os.environ.get("MUTATIONS", 500))  # MUTATIONS=20000 looks further, and elsewhere each time


@settings(
    max_examples=EXAMPLES,
    derandomize=EXAMPLES == 500,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(case=cases())
@pytest.mark.slow
def test_a_config_with_mistakes_is_planned_or_refused_by_key(folder, case):
    assert wrong(case, folder) is None


def test_a_message_that_names_another_key_or_a_place_outside_the_file_would_be_found(folder):
    config = EVERY_SECTION.replace("epochs: 4", "epochs: -4").encode()
    assert wrong(Case(["plan"], config, {"training.epochs"}, []), folder) is None
    assert wrong(Case(["plan"], config, None, []), folder) is None
    for other in ("training.batch_size", "epochs", "pruning", "grid"):
        assert "names nothing of" in wrong(Case(["plan"], config, {other}, []), folder)
    assert not names_it("../mine.yaml:99: training.epochs: must be at least 0", Case(["plan"], config, None, []))
