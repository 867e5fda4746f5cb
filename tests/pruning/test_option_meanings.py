"""Options of a method: names, defaults and meanings, as rows, in Python's help and in ``sweep methods NAME``."""

import inspect
import json

import pytest
from click.testing import CliRunner

import pruning
from pruning import registry
from sweep.cli import main


def test_every_option_of_every_shipped_method_says_what_it_means():
    for method in filter(lambda method: method.shipped, registry.usable()[0]):
        options = pruning.method_options(method.name)
        assert {option.name: option.default for option in options} == method.options
        for option in options:
            assert option.meaning, f"{method.name}.{option.name}"
            assert not {"`", "\n"} & set(option.meaning)


def test_an_option_that_counts_other_things_in_another_method_says_which():
    meanings = {name: {o.name: o.meaning for o in pruning.method_options(name)} for name in ("set", "rigl", "imp")}
    assert "epochs" in meanings["set"]["every"]
    assert "steps" in meanings["rigl"]["every"]
    assert meanings["imp"]["rounds"] == "the number of prunings and retrainings."
    assert meanings["imp"]["floor"] == {o.name: o.meaning for o in pruning.method_options("snip")}["floor"]


def test_help_of_prune_ends_with_every_method_and_its_options():
    text = inspect.getdoc(pruning.prune)
    for name in ("force", "prospr", "rigl"):
        options = ", ".join(f"{option.name}={option.default!r}" for option in pruning.method_options(name))
        assert f"\n    {name}: {options}\n" in text
    assert "\n        temperature: divides the logits" in text
    assert text.count("what one threshold covers") == 1


def test_a_method_of_ones_own_has_the_meanings_of_its_docstring(monkeypatch):
    monkeypatch.setattr(registry, "_METHODS", dict(registry._METHODS))

    @pruning.register("mine", paper="ours")
    def mine(problem: pruning.Problem, *, power: float = 1.0, other: int = 2) -> pruning.Scores:
        """Scores.

        Args:
            power: of the ``weight``.
        """
        return {}

    [*_, power, other] = pruning.method_options("mine")
    assert power == ("power", 1.0, "of the weight.")
    assert other == ("other", 2, "")


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'force'"):
        pruning.method_options("forse")
    result = CliRunner().invoke(main, ["methods", "forse"])
    assert result.exit_code == 2
    assert "did you mean 'force'" in result.stderr


def test_the_command_shows_one_method_with_its_options():
    output = CliRunner().invoke(main, ["methods", "grasp"]).stdout
    rows = {option.name: option for option in pruning.method_options("grasp")}
    assert output.startswith("grasp  Weight times Hessian-gradient product.")
    assert all(
        any(line.startswith(name) and rows[name].meaning in line for line in output.splitlines()) for name in rows
    )
    row = json.loads(CliRunner().invoke(main, ["methods", "grasp", "--json"]).stdout)
    assert row["options"]["temperature"] == 200.0
    assert row["meanings"] == {name: option.meaning for name, option in rows.items()}
