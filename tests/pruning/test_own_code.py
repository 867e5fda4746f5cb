"""User code by name: packages with the names of ours, and files by their path."""

import pickle
import subprocess
import sys

import pytest

from pruning.own_code import imported
from pruning.registry import find

NET = """
from .parts import scale
class Net:
    def __init__(self):
        self.scale = scale
def build(): return Net()
"""
METHOD = "from pruning import Problem\n\ndef score(problem: Problem):\n    return {n: w.abs() for n, w in problem.dense.items()}\n"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A working folder; interpreter and imports are restored afterwards."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None)).startswith(str(tmp_path)):
            del sys.modules[name]


def package(folder, name: str, scale: int = 1, marker: bool = True) -> None:
    (folder / name).mkdir()
    if marker:
        (folder / name / "__init__.py").touch()
    (folder / name / "nets.py").write_text(NET)
    (folder / name / "parts.py").write_text(f"scale = {scale}\n")
    (folder / name / "methods.py").write_text(METHOD)


def found(name: str):
    return imported(name, "architecture", "factory")


@pytest.mark.parametrize("marker", [True, False], ids=["package", "folder"])
@pytest.mark.parametrize("name", ["training", "pruning", "sweep", "test", "json", "my_nets"])
def test_a_package_of_ones_own_is_found_first_whatever_it_is_called(folder, name, marker):
    package(folder, name, scale=7, marker=marker)
    before = {known: sys.modules[known] for known in ("training", "pruning", "sweep", "json") if known in sys.modules}
    net = found(f"{name}.nets:build")
    assert net.value().scale == 7
    assert net.place == f"{name}/nets.py"
    assert all(sys.modules[known] is module for known, module in before.items())
    assert type(pickle.loads(pickle.dumps(net.value()))) is type(net.value())


def test_a_method_in_a_package_called_pruning_is_found_and_finds_ours(folder):
    package(folder, "pruning")
    assert find("pruning.methods:score").score.__module__ == "pruning.working_folder.pruning.methods"
    assert find("pruning/methods.py:score").score is find("pruning.methods:score").score
    assert find("pruning.methods.snip:snip").shipped


def test_what_the_working_folder_lacks_is_found_where_python_finds_it(folder):
    package(folder, "pruning")
    assert found("pruning.methods.snip:snip").place.endswith("pruning/methods/snip.py")
    assert found("training.models:build").value is sys.modules["training.models"].build


def test_a_single_file_called_as_ours_is_found(folder):
    (folder / "training.py").write_text("def build(): return 5\n")
    assert found("training:build").value() == 5
    assert found("training:build").place == "training.py"


def test_a_file_is_named_by_its_path(folder):
    package(folder, "lab")
    (folder / "lab" / "my-nets.py").write_text("import parts\n\ndef build(): return parts.scale\n")
    assert found("lab/nets.py:build").value().scale == 1
    assert found("./lab/nets.py:build").place == "lab/nets.py"
    assert found("lab/my-nets.py:build").value() == 1  # a script finds what lies beside it
    assert found(f"{folder}/lab/nets.py:build").value is found("lab.nets:build").value


def test_a_file_outside_the_working_folder_is_named_by_its_path(folder, monkeypatch):
    (folder / "elsewhere.py").write_text("def build(): return 3\n")
    (folder / "work").mkdir()
    monkeypatch.chdir(folder / "work")
    assert found("../elsewhere.py:build").value() == 3
    assert found("../elsewhere.py:build").place == str(folder / "elsewhere.py")


def test_another_working_folder_has_other_code(folder, monkeypatch):
    for number in (1, 2):
        (folder / str(number)).mkdir()
        package(folder / str(number), "training", scale=number)
        monkeypatch.chdir(folder / str(number))
        assert found("training.nets:build").value().scale == number


@pytest.mark.slow
def test_an_object_of_a_package_called_as_ours_can_be_read_in_another_process(folder):
    package(folder, "training", scale=9)
    (folder / "net.pickle").write_bytes(pickle.dumps(found("training.nets:build").value()))
    code = "import pickle; print(pickle.load(open('net.pickle', 'rb')).scale)"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "9"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "nowhere.py:build",
            r"there is no file /.*/nowhere\.py\); write it as package\.module:factory or path/to/file\.py:f",
        ),
        ("training.nets:nothing", r"cannot be imported from /.*/training/nets\.py \(AttributeError"),
        ("training.absolute:build", r"another package is called 'training': inside yours write 'from \. import …'"),
        ("training/broken.py:build", r"training/broken\.py \(ZeroDivisionError: division by zero\)"),
    ],
)
def test_what_cannot_be_imported_says_which_file_was_found_and_what_to_do(folder, name, message):
    package(folder, "training")
    (folder / "training/absolute.py").write_text("from training.parts import scale\n")
    (folder / "training/broken.py").write_text("1 / 0\n")
    with pytest.raises(ValueError, match=message):
        found(name)
