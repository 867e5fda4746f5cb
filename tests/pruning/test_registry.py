"""Registration, look-up and options."""

import pytest

from pruning import registry
from pruning.registry import find, names, register


def test_the_papers_methods_and_the_controls_are_there():
    expected = {"dense", "random", "random_layerwise", "erk", "magnitude", "snip", "grasp"}
    assert expected | {"iter_snip", "iter_grasp", "force", "synflow"} == set(names())


def test_an_unknown_method_is_answered_with_the_nearest_known_one():
    with pytest.raises(ValueError, match="unknown method 'forse'; did you mean 'force'"):
        find("forse")
    with pytest.raises(ValueError, match="known: dense"):
        find("xyz")


def test_a_name_cannot_be_taken_twice():
    with pytest.raises(ValueError, match="a method named 'snip' is registered already"):
        register("snip", paper="none")(lambda problem: {})


def test_options_are_the_loops_and_the_scores_own():
    assert find("force").options == {"rounds": 60, "schedule": "exponential", "scope": "global"}
    assert find("grasp").options == {"scope": "global", "temperature": 200.0}
    assert find("synflow").options["rounds"] == 100
    assert find("erk").options == {}
    assert find("dense").options == {}


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
    ],
)
def test_a_wrong_option_says_what_is_valid(method, options, message):
    with pytest.raises(ValueError, match=message):
        find(method).resolve(options)


def test_every_method_has_a_one_line_summary_and_a_paper():
    for name in names():
        assert find(name).summary.endswith(".")
        assert find(name).paper


def test_a_registered_function_is_returned_as_it_was(monkeypatch):
    monkeypatch.setattr(registry, "_METHODS", dict(registry._METHODS))

    def mine(problem):
        """Mine."""

    assert register("mine", paper="ours")(mine) is mine
    assert find("mine").score is mine
