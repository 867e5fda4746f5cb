"""User methods: by path, and from entry points of installed packages."""

import importlib
import sys

import pytest
import torch

import pruning
from pruning import plugins, registry
from pruning.registry import find, names, usable

PLAIN = '''
def gradient(problem, *, power: float = 1.0):
    """Magnitude of the gradient."""
    return {name: g.abs() ** power for name, g in problem.gradients().items()}
'''
REGISTERED = '''
from pathlib import Path
from pruning.registry import register

with open(Path(__file__).with_name("imports"), "a") as imports:
    imports.write("x")

@register("gradient", paper="ours", rounds=7, recover=True)
def gradient(problem):
    """Ours."""
    return problem.gradients()

@register("other", paper="ours")
def other(problem):
    """Another."""
    return problem.gradients()
'''


@pytest.fixture(autouse=True)
def lab(tmp_path, monkeypatch):
    """A working directory to write modules into; interpreter and registry are restored afterwards."""
    monkeypatch.setattr(registry, "_METHODS", dict(registry._METHODS))
    monkeypatch.setattr(registry, "_ASIDE", [])
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(tmp_path)
    importlib.invalidate_caches()
    plugins.offered.cache_clear()
    yield tmp_path
    plugins.offered.cache_clear()
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None)).startswith(str(tmp_path)):
            del sys.modules[name]


def install(folder, package, points, **modules):
    """A package's metadata as pip installs it, in a folder on the path."""
    information = folder / f"{package}-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(f"[sweep.methods]\n{points}\n")
    for name, code in modules.items():
        (folder / f"{name}.py").write_text(code)
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
    plugins.offered.cache_clear()


def test_a_plain_function_named_by_its_path_is_a_one_shot_global_method(lab):
    (lab / "labs").mkdir()
    (lab / "labs/__init__.py").touch()
    (lab / "labs/methods.py").write_text(PLAIN)
    method = find("labs.methods:gradient")
    assert (method.name, method.rounds, method.recover, method.scope) == (
        "labs.methods:gradient",
        None,
        False,
        "global",
    )
    assert method.resolve({"power": 2}) == {"scope": "global", "power": 2.0}
    # y = 3·1 − 1·2 and ½y²: g = (3, 1): the first weight is kept, as by no other score of ours
    model = torch.nn.Sequential(torch.nn.Linear(2, 1, bias=False))
    model[0].weight.data = torch.tensor([[1.0, -2.0]])
    batch = (torch.tensor([[3.0, 1.0]]), torch.tensor([[0.0]]))
    half_square = lambda outputs, targets: 0.5 * (outputs - targets).square().mean()  # noqa: E731
    masks = pruning.prune(model, "labs.methods:gradient", 0.5, [batch], loss=half_square, power=2).masks
    assert masks["0.weight"].tolist() == [[True, False]]


def test_a_registered_function_named_by_its_path_has_its_preset_and_goes_by_the_path(lab):
    (lab / "ours.py").write_text(REGISTERED)
    for _ in range(2):  # imported by the first, found by the second
        method = find("ours:gradient")
        assert (method.name, method.rounds, method.recover, method.paper) == ("ours:gradient", 7, True, "ours")
    assert (lab / "imports").read_text() == "x"


def test_a_decorator_on_top_does_not_hide_the_preset(lab):
    (lab / "ours.py").write_text(
        "import torch\nfrom pruning.registry import register\n\n"
        "@torch.no_grad()\n@register('gradient', paper='ours', rounds=7)\ndef gradient(problem):\n    return {}\n"
    )
    assert find("ours:gradient").rounds == 7


def test_a_shipped_function_can_be_named_by_its_path_too():
    assert find("pruning.methods.force:force").rounds == find("force").rounds
    with pytest.raises(ValueError, match="is registered more than once, as random and as random_layerwise: give each"):
        find("pruning.methods.random:random")


def test_what_an_import_registers_besides_is_not_known_by_its_bare_name(lab):
    (lab / "ours.py").write_text(REGISTERED)
    before = names()
    find("ours:gradient")
    assert names() == before
    for name in ("gradient", "other"):  # a process that runs trials would not know them
        with pytest.raises(ValueError, match=f"unknown method '{name}'; write its path, ours:{name}"):
            find(name)
    assert find("ours:other").paper == "ours"


def test_two_modules_may_register_the_same_name_if_both_are_named_by_path(lab):
    (lab / "ours.py").write_text(REGISTERED)
    (lab / "theirs.py").write_text(REGISTERED.replace("rounds=7", "rounds=9"))
    assert (find("ours:gradient").rounds, find("theirs:gradient").rounds) == (7, 9)
    assert find("ours:gradient").rounds == 7


def test_a_module_that_was_imported_before_keeps_its_names(lab):
    (lab / "ours.py").write_text(REGISTERED)
    sys.path.append(str(lab))
    importlib.import_module("ours")
    assert find("ours:gradient").name == "ours:gradient"
    assert find("gradient").rounds == 7
    assert names()[-2:] == ["gradient", "other"]
    importlib.reload(sys.modules["ours"])
    assert find("gradient").score is sys.modules["ours"].gradient


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("", r"AttributeError: module 'ours' has no attribute 'gradient'\); write it as package.module:function"),
        ("import sys\nsys.exit(3)", r"\(SystemExit: 3\)"),
        ("def gradient(problem:\n", r"\(SyntaxError: "),
        ("raise RuntimeError('two\\n lines')", r"\(RuntimeError: two lines\)"),
        ("from pruning.registry import register\n\n@register('snip', paper='')\ndef gradient(problem): ...",
         "a method named 'snip' is registered already, in pruning.methods.snip"),
        ("gradient = 3", "'ours:gradient' is a int, not a function that gives scores"),
        ("class gradient: ...", "'ours:gradient' is a type, not a function"),
        ("def gradient(): ...", "method ours:gradient: its function must take the problem, then keyword-only options"),
        ("def gradient(problem, power=1.0): ...", "keyword-only options"),
        ("def gradient(problem, *, power): ...", "that of 'power' is missing"),
    ],
)  # fmt: skip
def test_what_cannot_be_a_method_says_why(lab, code, message):
    (lab / "ours.py").write_text(code)
    with pytest.raises(ValueError, match=message):
        find("ours:gradient")


def test_a_module_that_is_not_there_is_answered_with_the_folder_that_was_searched(lab):
    with pytest.raises(ValueError, match=rf"'nowhere.methods:gradient' cannot be imported from {lab} \(ModuleNotFound"):
        find("nowhere.methods:gradient")


def test_a_package_offers_its_methods_by_entry_points(lab):
    install(lab, "ours-package", "gradient = ours\nplain = plain:gradient", ours=REGISTERED, plain=PLAIN)
    assert names()[-2:] == ["gradient", "plain"]
    assert not (lab / "imports").exists()  # listed, and not imported yet
    for _ in range(3):
        assert (find("gradient").rounds, find("gradient").paper) == (7, "ours")
    assert (lab / "imports").read_text() == "x"
    assert (find("plain").name, find("plain").options["power"]) == ("plain", 1.0)
    assert "other" not in names()  # registered there, but not offered
    assert usable()[1] == []


def test_an_entry_point_finds_its_method_also_after_the_path_has_imported_it(lab):
    install(lab, "ours-package", "gradient = ours", ours=REGISTERED)
    (lab / "theirs.py").write_text(REGISTERED.replace("rounds=7", "rounds=9"))
    assert find("ours:gradient").rounds == 7
    assert find("theirs:gradient").rounds == 9
    assert (find("gradient").rounds, find("gradient").name) == (7, "gradient")


def test_a_broken_entry_point_breaks_nothing_but_itself(lab):
    install(
        lab,
        "broken-package",
        "gradient = nowhere.at_all",
    )
    install(lab, "empty-package", "silent = silent", silent="")
    install(lab, "greedy-package", "snip = greedy", greedy="raise AssertionError")
    install(lab, "first-package", "contested = plain:gradient", plain=PLAIN)
    install(lab, "second-package", "contested = plain:gradient")
    assert find("force").rounds == 60
    assert find("snip").shipped
    with pytest.raises(ValueError, match="unknown method 'forse'; did you mean 'force'"):
        find("forse")
    with pytest.raises(
        ValueError, match=r"'gradient' of the package broken-package cannot be loaded from 'nowhere.at_all' \(Mod"
    ):
        find("gradient")
    found, reasons = usable()
    assert [m.name for m in found] == [name for name in names() if name not in ("gradient", "silent", "contested")]
    assert all("\n" not in reason for reason in reasons)
    assert sorted(reason.split(" cannot be loaded")[0] for reason in reasons) == [
        "method 'contested' is offered by first-package and second-package: uninstall one of them",
        "method 'gradient' of the package broken-package",
        "method 'silent': its entry point leads to silent, which registers none of that name",
        "method 'snip' of the package greedy-package: a shipped one has that name, and keeps it",
    ]
