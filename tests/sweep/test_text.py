"""Numbers as people read them."""

from sweep.text import clock, percent


def test_sparsities_read_as_people_write_them():
    assert [percent(s) for s in (0.9, 0.995, 0.9995, 0.0)] == ["90%", "99.5%", "99.95%", "0%"]


def test_times_read_as_a_clock_does():
    assert [clock(s) for s in (5, 75.4, 3700)] == ["0:05", "1:15", "1:01:40"]
