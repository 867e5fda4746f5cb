"""What the docs show, runs."""

import dataclasses
import importlib
import json
import re
import shlex
import sys
import textwrap
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner

import pruning
from pruning import plugins, registry
from pruning.method import Method
from sweep.cli import main
from sweep.cli.print.markdown import anchor, paragraphs
from sweep.cli.print.methods_page import AUTHORS, SHARED
from sweep.config.config import sweep_from
from sweep.config.grid import expand
from sweep.config.yaml_tree import read_yaml
from sweep.errors import InputError
from sweep.records import SweepRecord
from sweep.store import Store

ROOT = Path(__file__).parents[1]


def blocks(path: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / path).read_text(encoding="utf-8"), re.DOTALL)


def test_the_readmes_library_snippet_runs_and_prunes_exactly():
    [code] = blocks("README.md", "python")
    names: dict = {}
    torch.manual_seed(0)
    exec(code, names)
    total = 784 * 300 + 300 * 10
    assert sum(int(m.sum()) for m in names["pruned"].masks.values()) == total - round(0.98 * total)
    assert sum(int((w != 0).sum()) for w in pruning.prunable(names["model"]).values()) == total - round(0.98 * total)


def test_the_readmes_yaml_is_a_valid_sweep(tmp_path, monkeypatch):
    [text] = blocks("README.md", "yaml")
    (tmp_path / "my_package").mkdir()
    (tmp_path / "my_package/nets.py").write_text(
        "from torch import nn\n\ndef build(classes):\n    return nn.Sequential(nn.Flatten(), nn.Linear(3072, classes))\n"
    )
    (tmp_path / "mine.yaml").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert len(expand(sweep_from(read_yaml("mine.yaml")))) == 3 * 3 * (1 + 6 * 5)


def test_the_readmes_query_averages_within_one_sweep_network_and_recipe(tmp_path, outcome):
    [query] = blocks("README.md", "sql")
    store, mine = Store(tmp_path / "results"), []

    def add(accuracy: float, sweep: str = "mine", epochs: int = 1, **facts: Any) -> None:
        config = json.dumps({"training": {"epochs": epochs}, "pruning": {"batches": 1}})
        trial = f"{len(mine):016x}"
        mine.append(trial if sweep == "mine" else "")
        store.write(outcome(trial, test_accuracy=accuracy, config=config, sweep=sweep, **facts))

    add(0.5, sweep="another")
    for seed in (0, 1):
        add(0.5 + seed / 4, seed=seed)
    add(0.9, architecture_label="vgg19")
    add(0.8, epochs=2)
    add(0.7, method_label="snip batches=2")
    store.write_sweep(SweepRecord("mine", "{}", tuple(filter(None, mine)), datetime.now(UTC)))
    for folder in ("trials",):  # the files of a trial that was run again, before the earlier outcome goes
        [path] = (tmp_path / "results" / folder).glob(f"{1:016x}-*.parquet")
        held = path.read_bytes()
        store.write(
            outcome(
                f"{1:016x}", sweep="mine", test_accuracy=0.5, config='{"training":{"epochs":1},"pruning":{"batches":1}}'
            )
        )
        path.write_bytes(held)
    (tmp_path / "accuracy.sql").write_text(query)
    asked = ["--file", str(tmp_path / "accuracy.sql"), "--store", str(tmp_path / "results"), "--format", "json"]
    answer = CliRunner().invoke(main, ["query", *asked])
    assert answer.exit_code == 0, answer.output
    rows = [
        (row["sweep"], row["architecture_name"], row["method_name"], row["training"], row["accuracy"], row["n"])
        for row in json.loads(answer.output)
    ]
    once, twice = '{"epochs":1}', '{"epochs":2}'
    assert sorted(rows, key=str) == [
        ("another", "small VGG", "SNIP", once, 0.5, 1),
        ("mine", "VGG-19", "SNIP", once, 0.9, 1),
        ("mine", "small VGG", "SNIP", once, 0.625, 2),
        ("mine", "small VGG", "SNIP", twice, 0.8, 1),
        ("mine", "small VGG", "SNIP, batches=2", once, 0.7, 1),
    ]


def test_every_command_that_the_readme_shows_exists():
    shown = set(re.findall(r"^\$ sweep (\w+)", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE))
    assert shown
    assert shown <= set(main.commands)


def test_every_file_that_a_page_links_to_is_there():
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\((?!http|#)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


GUIDE = "docs/adding-a-method.md"


@pytest.fixture
def guide(tmp_path, monkeypatch):
    """A person's own folder as the guide has it; interpreter and registry are as before afterwards."""
    plain, progressive, _ = blocks(GUIDE, "python")
    (tmp_path / "my_lab").mkdir()
    (tmp_path / "my_lab/methods.py").write_text(plain)
    (tmp_path / "my_lab/progressive.py").write_text(progressive)
    (tmp_path / "own.yaml").write_text(blocks(GUIDE, "yaml")[0])
    monkeypatch.setattr(registry, "_METHODS", dict(registry._METHODS))
    monkeypatch.setattr(registry, "_ASIDE", [])
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(tmp_path)
    importlib.invalidate_caches()
    yield tmp_path
    plugins.offered.cache_clear()
    for name in [name for name in sys.modules if name.partition(".")[0] == "my_lab"]:
        del sys.modules[name]


def run(command: str) -> str:
    """What a command that a page shows prints, in this process."""
    result = CliRunner().invoke(main, shlex.split(command.removeprefix("$ sweep ")))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.stderr
    return result.stdout


@pytest.mark.slow
def test_the_guides_method_goes_from_its_own_folder_to_the_report(guide):
    plan, launch, report = (run(command) for command in blocks(GUIDE, "console")[0].splitlines())
    labels = ["snip", "my_lab.methods:gradient", "my_lab.methods:gradient power=1"]
    assert all(f"\n{label} " in plan for label in labels)
    assert "my_lab.methods:gradient: from my_lab/methods.py\n" in plan
    assert "Now 3 completed" in launch
    assert "my_lab.methods:gradient, power=1" in report
    rows = {row["method_label"]: row for row in Store("results").trials().to_pylist()}
    assert set(rows) == set(labels)
    snip, gradient, same = (rows[label] for label in labels)
    assert (same["mask_hash"], same["test_accuracy"]) == (snip["mask_hash"], snip["test_accuracy"])
    assert gradient["mask_hash"] != snip["mask_hash"]
    again = run(f"$ sweep trial run {same['trial_id']}")  # from the stored config alone
    assert re.search(r"(\d+) of \1 fields agree", again)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("power: 1", "power: high", r"grid.method.power: method my_lab.methods:gradient takes a number such as 0.0"),
        ("power: 1", "exponent: 1", r"grid.method.exponent: .* has no option 'exponent'; its options: .*power"),
        ('methods:gradient", power: 1', 'progressive:gradient", power: -1', "grid.method.power: must not be negative"),
        ("my_lab.methods", "my_lab.method", r"grid.method: .* No module named 'my_lab.method'\); write it as package"),
        ("methods:gradient", "methods:gradiant", r"grid.method: .* has no attribute 'gradiant'"),
    ],
)
def test_what_is_wrong_with_the_guides_method_is_said_where_it_stands(guide, old, new, message):
    text = (guide / "own.yaml").read_text()
    (guide / "own.yaml").write_text(text.replace(old, new))
    with pytest.raises(InputError, match=rf"^own.yaml:5: {message}"):
        sweep_from(read_yaml("own.yaml"))


def test_the_guides_preset_holds_for_the_path_and_for_the_package(guide):
    def facts(name):
        method = pruning.find(name)
        return method.rounds, method.recover, list(method.options), method.time

    by_path = facts("my_lab.progressive:gradient")
    assert by_path == (20, True, ["rounds", "schedule", "scope", "floor", "power"], "at initialization")
    project = tomllib.loads(blocks(GUIDE, "toml")[0])["project"]
    information = guide / f"{project['name']}-{project['version']}.dist-info"  # what pip leaves of it
    information.mkdir()
    (information / "METADATA").write_text(f"Name: {project['name']}\nVersion: {project['version']}\n")
    [(group, points)] = project["entry-points"].items()
    lines = [f"[{group}]", *(f"{name} = {value}" for name, value in points.items())]
    (information / "entry_points.txt").write_text("\n".join(lines))
    plugins.offered.cache_clear()
    assert facts("gradient") == by_path
    assert "Magnitude of the gradient in many small steps" in run("$ sweep methods")


def test_the_guides_test_is_one_that_can_fail(guide):
    names: dict = {}
    exec(textwrap.dedent(blocks(GUIDE, "python")[2]), names)
    [test] = [value for name, value in names.items() if name.startswith("test_")]
    sys.path.append(str(guide))
    importlib.import_module("my_lab.progressive")  # as pruning/methods/__init__.py would
    test()
    sys.modules["my_lab.methods"].gradient = lambda problem, power: {  # type: ignore[attr-defined]
        name: g.abs() for name, g in problem.gradients().items()
    }
    with pytest.raises(AssertionError):
        test()


def test_the_guide_has_all_that_a_problem_offers_and_all_that_register_takes():
    page = (ROOT / GUIDE).read_text(encoding="utf-8")
    model = torch.nn.Linear(1, 1)
    problem = pruning.Problem(model, torch.nn.functional.mse_loss, torch.Generator(), (1,))
    offered = {name for name in dir(problem) if not name.startswith("_")}
    assert offered == set(re.findall(r"`problem\.(\w+)", page))
    taken = {field.name for field in dataclasses.fields(Method)} - {"name", "paper", "score"}
    assert taken == set(re.findall(r"^\| `(\w+)=", page, re.MULTILINE))


HANDBOOK = (ROOT / "docs/methods.md").read_text(encoding="utf-8")
MODULES = {method.score.__module__ for method in map(pruning.find, pruning.names()) if method.shipped}


def test_the_methods_page_is_what_its_command_writes():
    [command] = re.findall(r"`(sweep methods .*?) > docs/methods.md`", HANDBOOK)
    assert run(f"$ {command}") == HANDBOOK, f"docs/methods.md is not up to date: {command} > docs/methods.md"


def test_every_shipped_method_is_on_the_methods_page_twice_and_every_link_in_it_leads_somewhere():
    overview, _, chapters = HANDBOOK.partition("## Shared options")
    for name in pruning.names():
        if pruning.find(name).shipped:
            assert f"\n| [`{name}`](#" in overview
            assert f"\n| `{name}` |" in chapters
    titles = {anchor(title) for title in re.findall(r"^#+ (.*)", HANDBOOK, re.MULTILINE)}
    assert set(re.findall(r"\]\(#(.*?)\)", HANDBOOK)) <= titles


@pytest.mark.parametrize("module", sorted(MODULES))
def test_every_methods_chapter_has_an_equation_its_options_and_what_the_authors_code_does(module):
    methods = [method for method in map(pruning.find, pruning.names()) if method.score.__module__ == module]
    text = paragraphs(sys.modules[module])
    assert any(paragraph.startswith("    ") for paragraph in text), "no equation: an indented paragraph"
    if {method.paper for method in methods} != {"control"}:
        assert sum(paragraph.startswith(AUTHORS) for paragraph in text) == 1, f"no paragraph begins with {AUTHORS}"
    for method in methods:
        for option in method.options.keys() - set(SHARED):
            assert re.search(rf"\b{option}\b", sys.modules[module].__doc__), f"option {option} is not explained"


def test_the_words_page_has_every_status():
    from sweep.records import STATUSES

    words = (ROOT / "docs/words.md").read_text(encoding="utf-8")
    assert all(status in words for status in STATUSES)


NETWORK = "docs/own-network-and-data.md"


def of_network(language: str, half: str = "Your own network") -> list[str]:
    """The blocks of one half of the page."""
    page = (ROOT / NETWORK).read_text(encoding="utf-8")
    [half] = re.findall(rf"^## {half}\n(.*?)(?=^## |\Z)", page, re.DOTALL | re.MULTILINE)
    return re.findall(rf"```{language}\n(.*?)```", half, re.DOTALL)


@pytest.fixture
def own_network(tmp_path, monkeypatch):
    """A person's own folder as the page has it; the interpreter is as before afterwards."""
    (tmp_path / "nets.py").write_text(of_network("python")[0])
    (tmp_path / "own.yaml").write_text(of_network("yaml")[0])
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(tmp_path)
    sys.modules.pop("nets", None)
    yield tmp_path
    sys.modules.pop("nets", None)


@pytest.mark.slow
def test_the_pages_network_goes_from_its_own_folder_to_the_report(own_network):
    plan, launch, report = (run(command) for command in of_network("console")[0].splitlines())
    assert "nets:build: from nets.py, initial weights by default (as its factory makes them)\n" in plan
    assert "nets.py:build init=kaiming_normal width=8: from nets.py, initial weights by kaiming_normal\n" in plan
    assert "Now 4 completed" in launch
    assert "nets:build" in report
    rows = Store("results").trials().to_pylist()
    assert {row["architecture_label"] for row in rows} == {"nets:build", "nets.py:build init=kaiming_normal width=8"}
    assert len({row["initial_weights_hash"] for row in rows}) == 2  # each shared by dense and SNIP


def test_what_the_page_says_is_pruned_is(own_network):
    code, check = of_network("python")
    exec(code + check, {})


def test_the_page_has_every_initialiser():
    from training.initialise import INITIALISERS

    page = (ROOT / NETWORK).read_text(encoding="utf-8")
    assert all(re.search(rf"[`: ]{name}`", page) for name in INITIALISERS)


IMAGES = "Your own images"


@pytest.fixture
def own_images(tmp_path, monkeypatch):
    """The folder of small images that the page makes, and its config."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    exec(of_network("python", IMAGES)[0], {})
    (tmp_path / "images.yaml").write_text(of_network("yaml", IMAGES)[0])
    return tmp_path


def test_the_pages_images_go_from_their_folder_to_trials_that_are_known_without_them(own_images):
    (own_images / "shades/train/dark/x.heic").write_bytes(b"x")
    plan, launch, in_parquet = (run(command) for command in of_network("console", IMAGES)[0].splitlines())
    assert of_network("text", IMAGES)[1] in plan
    assert "ran 2 trials. Now 2 completed" in launch
    [fingerprint] = re.findall(r'data\.fingerprint: "(.*)"', plan)
    assert f'data.fingerprint: "{fingerprint}"' in in_parquet
    pinned = of_network("yaml", IMAGES)[1].replace("FINGERPRINT", fingerprint)
    text = (own_images / "images.yaml").read_text()
    (own_images / "images.yaml").write_text(re.sub(r"^data: .*\n", pinned, text, flags=re.MULTILINE))
    (own_images / "shades").rename(own_images / "elsewhere")
    assert "2 completed, 0 to run" in run("$ sweep plan images.yaml")


def test_the_page_has_every_ending_and_every_named_set_with_its_formats():
    from training.datasets import DATASETS
    from training.sources.folder import ENDINGS

    assert of_network("text", IMAGES)[0].split() == list(ENDINGS)
    page = (ROOT / NETWORK).read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \| ([a-z, ]+) \|", page, re.MULTILINE)
    stated = {name: tuple(formats.split(", ")) for names, formats in rows for name in re.findall(r"`(\w+)`", names)}
    assert stated == {name: known.formats for name, known in DATASETS.items() if not known.is_own}
