import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from sweep.config.config import sweep_from
from sweep.config.grid import expand, trial_id
from sweep.config.trial_identity import canonical
from sweep.config.yaml_tree import plain
from sweep.errors import InputError
from sweep.records import FAILED, INTERRUPTED, SweepRecord
from sweep.report.names import file_name, measured_sparsity, method_name, method_order, percent
from sweep.report.trials import panels, planned_trials, read

from .conftest import MakeStore, named, panel, trial

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_a_trial_in_two_stores_counts_once_and_is_taken_where_it_completed(store: MakeStore) -> None:
    failed = trial("snip", 0.9, 0, None, status=FAILED, trial_id="same")
    first = store("a", [failed, trial("snip", 0.9, 1, 0.8)])
    second = store("b", [trial("snip", 0.9, 0, 0.9, trial_id="same")])
    for order in ([first, second], [second, first]):
        found = {t.trial_id: s.uri for s, trials in read(order) for t in trials}
        assert found == {named("same"): second.uri, named("snip-0.9-1"): first.uri}


def test_of_two_completed_records_of_a_trial_the_later_one_counts(store: MakeStore) -> None:
    early = store("a", [trial("snip", 0.9, 0, 0.8, started=datetime(2026, 1, 1, tzinfo=UTC))])
    late = store("b", [trial("snip", 0.9, 0, 0.9, started=datetime(2026, 1, 2, tzinfo=UTC))])
    ((_, trials), (_, none)) = read([late, early])
    assert [t.test_accuracy for t in trials] == [0.9]
    assert none == []


def test_only_the_named_sweep_or_the_named_trials_are_read(store: MakeStore) -> None:
    one = store("a", [trial("snip", 0.9, 0, 0.8, sweep="mine"), trial("snip", 0.9, 1, 0.9, sweep="other")])
    assert [t.seed for _, trials in read([one], sweep="mine") for t in trials] == [0]
    assert [t.seed for _, trials in read([one], only={named("snip-0.9-1")}) for t in trials] == [1]


def test_an_empty_store_says_what_to_run(store: MakeStore) -> None:
    with pytest.raises(InputError, match=r"no trial to report; run some first: sweep launch"):
        read([store("empty", [])])


def test_a_store_without_a_completed_trial_says_how_its_trials_ended(store: MakeStore) -> None:
    lost = [trial("snip", 0.9, i, None, status=status) for i, status in enumerate((FAILED, INTERRUPTED, FAILED))]
    with pytest.raises(InputError, match=r"no completed trial .* \(2 failed, 1 interrupted\).*status --store .*/lost$"):
        read([store("lost", lost)])


def test_an_unknown_sweep_is_answered_with_those_in_the_store(store: MakeStore) -> None:
    with pytest.raises(InputError, match=r"no trial of a sweep named 'nobody'; it holds: hand"):
        read([store("a", [trial("snip", 0.9, 0, 0.8)])], sweep="nobody")


def test_jpeg_copies_are_named_so_and_never_share_a_panel_with_exact_images() -> None:
    exact = trial("snip", 0.9, 0, 0.8)
    lossy = trial("snip", 0.9, 1, 0.7, data_encoding="JPEG")
    titles = [p.title for p in panels([exact, lossy])]
    assert titles == ["CIFAR-10 (JPEG), ResNet-20", "CIFAR-10, ResNet-20"]
    assert [p.file_name for p in panels([exact, lossy])] == ["cifar10-jpeg-resnet20", "cifar10-resnet20"]


def test_trials_on_a_fraction_of_the_images_say_so_and_share_no_panel_with_those_on_all() -> None:
    whole, data = trial("snip", 0.9, 0, 0.8), {"path": "here", "train": 0.1}
    tenth = trial(
        "snip", 0.9, 1, 0.5, config=json.dumps({"data": data, "training": {"epochs": 5}}, separators=(",", ":"))
    )
    found = panels([tenth, whole])
    assert [p.title for p in found] == ["CIFAR-10, ResNet-20", "10 % of CIFAR-10, ResNet-20"]
    assert [p.file_name for p in found] == ["cifar10-resnet20", "cifar10-train0.1-resnet20"]
    assert [p.train for p in found] == [1.0, 0.1]


def test_a_trial_that_failed_before_it_saw_an_image_is_in_the_panel_of_the_others() -> None:
    failed = trial("snip", 0.9, 0, None, status=FAILED, data_encoding=None)
    assert len(panel([failed, trial("snip", 0.9, 1, 0.7, data_encoding="JPEG")]).trials) == 2


def test_other_recipes_are_other_panels_named_by_what_differs() -> None:
    short, long = trial("snip", 0.9, 0, 0.8), trial("snip", 0.9, 1, 0.9, training={"epochs": 160})
    titles = [p.title for p in panels([short, long])]
    assert titles == ["CIFAR-10, ResNet-20, training.epochs=160", "CIFAR-10, ResNet-20, training.epochs=5"]


def test_where_the_data_lies_makes_no_other_panel() -> None:
    here = trial("snip", 0.9, 0, 0.8)
    there = trial("snip", 0.9, 1, 0.9, config=here.config.replace("here", "there"))
    assert "there" in there.config
    assert len(panel([here, there]).trials) == 2


def test_an_ablation_is_an_axis_and_no_other_recipe() -> None:
    whole = trial("snip", 0.9, 0, 0.8)
    control = trial("snip", 0.9, 0, 0.3, method_label="snip ablation=invert")
    control = replace(control, config=json.dumps({**json.loads(control.config), "ablation": "invert"}))
    assert [cell.method_label for cell in panel([whole, control]).cells] == ["snip", "snip ablation=invert"]


def test_the_epochs_of_one_training_are_those_that_the_config_asks_for() -> None:
    assert panel([trial("imp", 0.9, 0, 0.8, epochs=30)]).epochs == 5
    assert panel([trial("imp", 0.9, 0, 0.8, config="{}")]).epochs is None


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("force rounds=300", "FORCE, rounds=300"),
        ("snip ablation=shuffle_layerwise", "SNIP, shuffled within layers"),
        ("force rounds=300 ablation=reinitialize", "FORCE, rounds=300, re-initialised"),
        ("rigl ablation=invert", "RigL, inverted"),
        ("random scope=uniform_plus", "Random, uniform+"),
        ("magnitude_after", "Magnitude, after training"),
        ("my.module:score k=3 ablation=mine", "my.module:score, k=3, mine"),
    ],
)
def test_methods_and_controls_read_as_people_say_them(label: str, name: str) -> None:
    assert method_name(label) == name


def test_controls_follow_their_method_and_options_are_ordered_as_numbers() -> None:
    wanted = ["snip", "force rounds=9", "force rounds=9 ablation=shuffle_layerwise", "force rounds=9 ablation=invert"]
    wanted += ["force rounds=10", "set", "rigl", "imp", "magnitude_after", "a_method"]
    shuffled = [wanted[i] for i in (7, 2, 9, 0, 4, 6, 1, 8, 3, 5)]
    assert sorted(shuffled, key=method_order) == wanted


@pytest.mark.parametrize(
    ("fraction", "text"),
    [(0.0, "0%"), (0.9, "90.00%"), (0.995, "99.50%"), (0.99982, "99.982%"), (0.9999996, "99.999960%"), (1.0, "100%")],
)
def test_a_measured_sparsity_shows_two_digits_of_the_density(fraction: float, text: str) -> None:
    assert measured_sparsity(fraction) == text


def test_percent_takes_as_many_digits_as_it_needs() -> None:
    assert [percent(x) for x in (0.9, 0.995, 0.9995, 0.57)] == ["90%", "99.5%", "99.95%", "57%"]


def test_file_names_are_portable_and_long_ones_stay_distinct() -> None:
    assert file_name("cifar10", "", "my.net:Factory depth=3/4") == "cifar10-my.net-factory-depth-3-4"
    one, two = (file_name("x" * 300, end) for end in ("a", "b"))
    assert len(one) == len(two) == 120
    assert one != two


def test_a_seed_that_the_grid_leaves_out_is_not_missing() -> None:
    grid = {
        "architecture": "vgg_digits", "method": ["snip", "random"], "sparsity": 0.9, "seed": [0, 1, 2],
        "exclude": {"method": "snip", "seed": 2},
    }  # fmt: skip
    config = sweep_from(plain({"data": "digits", "grid": grid}, "here"), default_name="mine")
    planned = [(trial_id(one), one) for one in expand(config)]
    record = SweepRecord("mine", canonical(config.as_dict()), tuple(name for name, _ in planned), NOW, "host", "")
    rows = [
        replace(trial(one.method.name, 0.9, one.seed, 0.9), trial_id=name, config=one.to_json())
        for name, one in planned
        if (one.method.name, one.seed) != ("snip", 1)
    ]
    [found] = panels(rows, planned_trials([record]))
    assert {cell.method: found.missing(cell) for cell in found.cells} == {"snip": (1,), "random": ()}
    whole = replace(record, config=canonical({**config.as_dict(), "grid": {}}))
    assert planned_trials([whole]) == frozenset()
