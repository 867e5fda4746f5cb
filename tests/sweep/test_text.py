"""Numbers as people read them."""

import math

import pytest

from sweep.text import clock, number, percent, store_option


def test_sparsities_read_as_people_write_them():
    assert [percent(s) for s in (0.9, 0.995, 0.9995, 0.0)] == ["90%", "99.5%", "99.95%", "0%"]


@pytest.mark.parametrize("shown", [percent, number])
def test_numbers_that_differ_are_shown_apart(shown):
    values = [0.3, 0.1 + 0.2, math.nextafter(0.3, 0), 0.123456789012, 0.123456789013, 1e-17, 0.0]
    assert len({shown(value) for value in values}) == len(values)
    assert (
        [shown(value) for value in values if value == 0.3] == [shown(0.3)] == [{percent: "30%", number: "0.3"}[shown]]
    )
    assert percent(0.1 + 0.2) == "30.000000000000004%" and number(0.1 + 0.2) == "0.30000000000000004"


def test_times_read_as_a_clock_does():
    assert [clock(s) for s in (5, 75.4, 3700)] == ["0:05", "1:15", "1:01:40"]


def test_commands_name_a_store_where_they_would_look_into_another(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert store_option(str(tmp_path / "results")) == ""
    assert store_option(str(tmp_path / "a b")) == f" --store '{tmp_path}/a b'"
