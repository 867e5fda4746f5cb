"""Registration, look-up and options."""

import inspect
from typing import Any

import pytest

import pruning
from pruning import registry
from pruning.masking import Masking
from pruning.method import TIMES, Method
from pruning.options import TAKEN
from pruning.registry import find, names, register

PUBLISHED = {"magnitude", "snip", "grasp", "iter_snip", "iter_grasp", "force", "synflow"}


@pytest.fixture(autouse=True)
def _registry_as_before(monkeypatch):
    monkeypatch.setattr(registry, "_METHODS", dict(registry._METHODS))


def test_the_papers_methods_and_the_controls_are_there():
    controls = {"dense", "random", "random_layerwise", "erk"}
    others = {"ntk_sap", "prospr", "phew", "set", "rigl", "imp", "magnitude_after"}
    assert {name for name in names() if find(name).shipped} == PUBLISHED | controls | others


def test_methods_know_when_their_mask_is_made():
    assert {find(name).time for name in PUBLISHED} == {"at initialization"}
    assert {find(name).time for name in ("dense", "random", "random_layerwise")} == {"control"}
    assert Method("m", "p", lambda problem: {}, masking=Masking).time == "during training"
    assert Method("m", "p", lambda problem: {}, masking=Masking, starts_dense=True).time == "after training"
    assert {find(name).time for name in names()} <= set(TIMES)


def test_a_methods_time_is_a_field_and_not_read_off_its_papers_title():
    control = Method("m", "control theory for pruning, 2026", lambda problem: {})
    assert control.time == "at initialization"
    assert Method("m", "a paper", lambda problem: {}, time="control").time == "control"
    assert Method("m", "a paper", lambda problem: {}, masking=Masking, time="during training").time == "during training"
    with pytest.raises(ValueError, match="method m: time: must be one of control, at initialization, .*, not 'later'"):
        Method("m", "p", lambda problem: {}, time="later")
    with pytest.raises(ValueError, match="time: must be 'at initialization' by its masking, not 'after training'"):
        Method("m", "p", lambda problem: {}, time="after training")
    with pytest.raises(ValueError, match="starts_dense needs a masking"):
        Method("m", "p", lambda problem: {}, starts_dense=True)


def test_an_unknown_method_is_refused_with_the_nearest_known_one():
    with pytest.raises(ValueError, match="unknown method 'forse'; did you mean 'force'"):
        find("forse")
    with pytest.raises(ValueError, match="known: dense"):
        find("xyz")


def mine(problem):
    """Mine."""


def test_a_name_cannot_be_taken_twice():
    with pytest.raises(ValueError, match="a method named 'snip' is registered already, in pruning.methods.snip"):
        register("snip", paper="none")(lambda problem: {})
    register("mine", paper="ours")(mine)
    with pytest.raises(ValueError, match="a method named 'mine' is registered already"):
        register("mine", paper="ours")(lambda problem: {})
    assert find("mine").score is mine


def test_a_function_that_is_defined_again_takes_the_place_of_the_earlier_one():
    code = "def yours(problem, *, power: float = {power}): 'Yours.'"
    for power in (1.0, 2.0):  # a notebook's cell, run again after a change
        cell: dict = {"__name__": "__main__"}
        exec(compile(code.format(power=power), f"cell {power}", "exec"), cell)
        register("yours", paper="ours")(cell["yours"])
    assert find("yours").options["power"] == 2.0
    module: dict = {"__name__": "labs.methods"}  # the script's own file, imported as a module
    exec(compile(code.format(power=3.0), "cell 2.0", "exec"), module)
    register("yours", paper="ours")(module["yours"])
    assert find("yours").options["power"] == 3.0


def test_options_are_the_loops_and_the_scores_own():
    shared = {"rounds": 60, "schedule": "exponential", "scope": "global", "floor": 0.0}
    assert find("force").options == {**shared, "truncate": False}
    assert find("grasp").options.items() >= {"scope": "global", "floor": 0.0, "temperature": 200.0}.items()
    assert find("synflow").options["rounds"] == 100
    assert find("erk").options == {}
    assert find("dense").options == {}


def test_options_that_are_off_by_default_and_stay_off_are_not_in_the_identity():
    assert find("force").resolve({}) == {"rounds": 60, "schedule": "exponential", "scope": "global"}
    assert find("force").resolve({"floor": 0, "rounds": 5}) == {
        "rounds": 5,
        "schedule": "exponential",
        "scope": "global",
    }
    assert find("force").resolve({"floor": 0.5})["floor"] == 0.5

    def score(problem, *, sure: bool = True, some: int = 3, maybe: bool = False, more: int = 0): ...

    method = Method("m", "p", score)
    assert method.resolve({}) == {"scope": "global", "sure": True, "some": 3}
    switched = {"sure": False, "some": 0, "maybe": True, "more": 1}  # what is on by default and is turned off stays
    assert method.resolve(switched) == {"scope": "global", **switched}


def test_given_options_stand_over_defaults_and_whole_numbers_become_floats_where_floats_are_meant():
    assert find("force").resolve({"rounds": 300})["rounds"] == 300
    temperature = find("grasp").resolve({"temperature": 1})["temperature"]
    assert isinstance(temperature, float)


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        ("snip", {"rounds": 5}, "method snip has no option 'rounds'; its options: scope"),
        ("force", {"rounds": 0}, "rounds: must be at least 1"),
        ("force", {"rounds": 2.5}, "takes a whole number such as 60, not 2.5"),
        ("force", {"rounds": True}, "not True"),
        ("force", {"schedule": "cosine"}, "'cosine' is none of exponential, linear"),
        ("snip", {"scope": "local"}, "'local' is none of global, layerwise, erk"),
        ("grasp", {"temperature": 0}, "temperature: must be a finite number above 0"),
        ("grasp", {"temperature": float("nan")}, "must be a finite number"),
        ("dense", {"scope": "global"}, "its options: none"),
        ("snip", {"floor": 1.5}, r"floor: a share of the network's density, in \[0, 1\], not 1.5"),
        ("snip", {"floor": -0.1}, r"floor: a share of the network's density, in \[0, 1\], not -0.1"),
        ("snip", {"floor": 0.5, "scope": "layerwise"}, "floor: scope layerwise fixes"),
    ],
)
def test_a_wrong_option_says_what_is_valid(method, options, message):
    with pytest.raises(ValueError, match=message):
        find(method).resolve(options)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"sure": 1}, "^sure: method m takes true or false, not 1$"),
        ({"sure": "yes"}, "^sure: method m takes true or false, not 'yes'$"),
        ({"few": -1}, "^few: must be 0 or more, not -1$"),
        ({"few": True}, "^few: method m takes a whole number such as 3, not True$"),
        ({"steps": 0}, "^steps: must be at least 1, not 0$"),
        ({"every": 0}, "^every: must be at least 1, not 0$"),
        ({"power": float("inf")}, "^power: must be a finite number, not inf$"),
        ({"kind": 3}, "^kind: method m takes text such as 'plain', not 3$"),
        ({"power": -1.0}, "^power: must not be negative$"),
    ],
)
def test_options_of_a_methods_own_are_held_to_their_kind_and_to_its_own_check(given, message):
    def score(
        problem, *, sure=True, few: int = 3, steps: int = 3, every: int = 1, power: float = 1.0, kind: str = "plain"
    ): ...

    def check(options):
        if options["power"] < 0:
            raise ValueError("power: must not be negative")

    with pytest.raises(ValueError, match=message):
        Method("m", "p", score, check=check).resolve(given)


def test_what_a_masking_refuses_is_refused_when_a_config_is_read():
    class Moving(Masking):
        def __init__(self, masks, horizon, *, drop: float = 0.3, epoch: int = 1):
            super().__init__(masks, horizon)
            if not 0 < drop < 1:
                raise ValueError(f"drop: must lie between 0 and 1, not {drop}")
            if epoch >= horizon.epochs:
                raise ValueError(f"epoch: there are {horizon.epochs}")

    method = Method("m", "p", lambda problem: {}, masking=Moving)
    with pytest.raises(ValueError, match="^drop: must lie between 0 and 1, not 1.5$"):
        method.resolve({"drop": 1.5})
    assert method.resolve({"epoch": 10_000})["epoch"] == 10_000  # which training it is for, nobody knows yet


def test_a_function_whose_options_no_config_could_set_is_refused_at_once():
    def by_position(problem, power=1.0): ...

    def without_default(problem, *, power): ...

    def without_value(problem, *, layers=None): ...

    def taken(problem, *, loss="logit"): ...

    refused: dict[Any, str] = {
        by_position: r"method m: its function must take the problem, then keyword-only options",
        without_default: "that of 'power' is missing",
        without_value: "that of 'layers' is None",
        taken: "an option named 'loss', which is reserved: rename it",
    }
    for score, message in refused.items():
        with pytest.raises(ValueError, match=message):
            register("m", paper="p")(score)
    assert "m" not in names()


def test_no_option_can_be_called_what_prune_calls_something_else():
    arguments = inspect.signature(pruning.prune).parameters.values()
    assert {"name", *(a.name for a in arguments if a.kind is not a.VAR_KEYWORD)} == set(TAKEN)


def test_every_method_has_a_one_line_summary_and_a_paper():
    for name in names():
        assert find(name).summary.endswith(".")
        assert find(name).paper


def test_a_registered_function_is_returned_as_it_was():
    assert register("mine", paper="ours")(mine) is mine
    assert find("mine").score is mine


@pytest.mark.parametrize("method", ["force", "iter_snip", "iter_grasp"])
def test_a_count_as_the_authors_round_it_is_off_by_default_and_then_no_part_of_a_trials_name(method):
    preset = pruning.find(method)
    assert preset.options["truncate"] is False
    assert "truncate" not in preset.resolve({})
    assert preset.resolve({"truncate": False}) == preset.resolve({})
    assert preset.resolve({"truncate": True})["truncate"] is True


def test_methods_whose_authors_round_otherwise_have_no_such_option():
    with pytest.raises(ValueError, match="method synflow has no option 'truncate'"):
        pruning.find("synflow").resolve({"truncate": True})
