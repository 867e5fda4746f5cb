"""The pages that say where things are: they name all of it, and nothing that is not there."""

import ast
import re
import tomllib
from pathlib import Path

import pytest
import yaml

import pruning
import sweep
import training

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
ARCHITECTURE = (DOCS / "architecture.md").read_text(encoding="utf-8")
PATHS = sorted(set(re.findall(r"`((?:sweep|pruning|training|tests|docs|configs)/[\w./-]*)`", ARCHITECTURE)))


def parts(package: str) -> set[str]:
    """The subpackages and modules of a package, by name."""
    folder = ROOT / package
    packages = {path.parent.name for path in folder.glob("*/__init__.py")}
    return packages | {path.stem for path in folder.glob("[!_]*.py")}


def test_the_map_of_sweep_names_every_package_and_module_of_it() -> None:
    docstring = ast.get_docstring(ast.parse((ROOT / "sweep/__init__.py").read_text(encoding="utf-8"))) or ""
    named = {line.split()[0] for line in docstring.splitlines() if re.match(r" {4}\w+ {2,}\S", line)}
    assert named == parts("sweep")


def test_the_functions_on_the_map_of_sweep_exist() -> None:
    docstring = ast.get_docstring(ast.parse((ROOT / "sweep/__init__.py").read_text(encoding="utf-8"))) or ""
    steps = [line.split()[0] for line in docstring.splitlines() if re.match(r" {4}\w+\.[\w.]+ ", line)]
    assert len(steps) > 5
    for step in steps:
        module, _, name = step.rpartition(".")
        places = [ROOT / "sweep" / f"{module.replace('.', '/')}.py", ROOT / "sweep" / module.replace(".", "/")]
        if places[1].is_dir():
            places[1] /= f"{name}.py" if (places[1] / f"{name}.py").exists() else "__init__.py"
        text = next(place for place in places if place.exists()).read_text(encoding="utf-8")
        assert re.search(rf"(def|class) {name}\b|\b{name}\b", text), step


@pytest.mark.parametrize(
    "folder",
    [
        "sweep/" + name
        for name in (
            "config",
            "engines",
            "export",
            "launch",
            "query",
            "report",
            "reproduce",
            "statistics",
            "store",
            "tracking",
            "trial",
        )
    ],
)
def test_a_package_lists_its_modules(folder: str) -> None:
    listed = (ROOT / folder / "__init__.py").read_text(encoding="utf-8")
    missing = [path.name for path in (ROOT / folder).glob("[!_]*.py") if path.name not in listed]
    assert not missing, f"{folder}/__init__.py does not name {missing}"


@pytest.mark.parametrize("path", PATHS)
def test_a_path_that_the_architecture_page_names_exists(path: str) -> None:
    assert (ROOT / path).exists()


def test_a_function_stands_in_the_file_that_the_architecture_page_names_for_it() -> None:
    pairs = re.findall(r"`(\w+)(?:\.\w+)?`(?: to [^`|]*)? in `([\w./]+\.py)`", ARCHITECTURE)
    assert len(pairs) > 20
    for name, path in pairs:
        text = (ROOT / path).read_text(encoding="utf-8")
        assert re.search(rf"\b(def|class) {name}\b|^{name}\b.*=|\b{name}\(", text, re.MULTILINE), f"{name} in {path}"


def test_the_architecture_page_names_every_package() -> None:
    for package in ("sweep", "pruning", "training"):
        folders = [path.parent.relative_to(ROOT) for path in (ROOT / package).glob("*/__init__.py")]
        for folder in folders:
            assert f"{folder}/" in ARCHITECTURE


@pytest.mark.parametrize(
    "addition",
    [
        *("pruning method", "data set", "schedule", "metric column", "command", "engine", "store backend", "tracker"),
        *("figure", "report column", "retry policy", "checkpoint cadence", "optimizer", "architecture"),
        "mask encoding",
    ],
)
def test_the_architecture_page_says_where_to_add(addition: str) -> None:
    assert re.search(rf"^\| an? {addition}", ARCHITECTURE, re.MULTILINE)


def test_the_index_names_every_page() -> None:
    linked = set(re.findall(r"\]\(([\w./-]+\.md)\)", (DOCS / "index.md").read_text(encoding="utf-8")))
    pages = {str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md")} - {"index.md"}
    assert pages <= linked


def test_the_citation_names_this_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    assert (str(citation["version"]), citation["license"]) == (project["version"], project["license"])


def test_every_package_says_the_version_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert {pruning.__version__, training.__version__, sweep.__version__} == {project["version"]}


def test_lines_of_code_in_the_readme_fit_95_columns() -> None:
    blocks = re.findall(r"```\w+\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert [line for block in blocks for line in block.splitlines() if len(line) > 95] == []
