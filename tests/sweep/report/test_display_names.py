import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from sweep.config.config import SweepConfig, sweep_from
from sweep.config.grid import expand, trial_id
from sweep.config.yaml_tree import plain
from sweep.errors import InputError
from sweep.records import SweepRecord, TrialRecord
from sweep.report import panels, write_report
from sweep.report.display_names import display_names
from sweep.report.names import architecture_name, figure_name, method_name, named
from sweep.store import Store

from .conftest import MakeStore, trial


def sweep(*methods: object, architecture: object = "vgg_digits", name: str = "mine") -> SweepConfig:
    grid = {"architecture": architecture, "method": list(methods), "sparsity": 0.9, "seed": 0}
    return sweep_from(plain({"name": name, "data": "digits", "grid": grid}, "test"))


LABELLED = sweep(
    {"name": "force", "rounds": 60, "label": "FORCE-60"},
    {"name": "force", "rounds": 300, "label": "FORCE-300"},
    "snip",
    architecture={"name": "vgg_digits", "label": "our VGG"},
)
PLAIN = sweep({"name": "force", "rounds": 60}, {"name": "force", "rounds": 300}, "snip")


def record(config: SweepConfig, hour: int) -> SweepRecord:
    launched = datetime(2026, 1, 1, hour, tzinfo=UTC)
    return SweepRecord(config.name, json.dumps(config.as_dict()), tuple(map(trial_id, expand(config))), launched)


def runs(config: SweepConfig) -> list[TrialRecord]:
    return [
        replace(trial(one.method.name, one.sparsity, one.seed, 0.9, method_label=one.method.label,
              architecture_label=one.architecture.label, config=one.to_json()), trial_id=trial_id(one))
        for one in expand(config)
    ]  # fmt: skip


def test_a_label_is_no_part_of_a_trial_or_its_id() -> None:
    assert [trial_id(one) for one in expand(LABELLED)] == [trial_id(one) for one in expand(PLAIN)]
    assert [one.to_json() for one in expand(LABELLED)] == [one.to_json() for one in expand(PLAIN)]
    assert trial_id(expand(LABELLED)[2]) == "c23d0f883391e2e7"
    assert sweep_from(plain(LABELLED.as_dict(), "stored")).grid.method[0].display_name == "FORCE-60"


def test_the_stored_config_says_what_tables_and_figures_call_a_method_and_a_network() -> None:
    names = display_names([record(LABELLED, 1)], runs(PLAIN))
    assert names == {
        "architecture": {"vgg_digits": "our VGG"},
        "method": {"force": "FORCE-60", "force rounds=300": "FORCE-300"},
    }
    with named(names):
        assert method_name("force rounds=300 ablation=invert") == "FORCE-300, inverted"
        assert (figure_name("force"), method_name("snip"), architecture_name("vgg_digits")) == (
            "FORCE-60", "SNIP", "our VGG")  # fmt: skip
        assert panels(runs(PLAIN))[0].title.endswith("our VGG")
    assert method_name("force rounds=300") == "FORCE, rounds=300"


def test_the_last_launch_decides_over_earlier_ones_and_other_stores() -> None:
    renamed = sweep({"name": "force", "rounds": 60, "label": "progressive"}, name="other")
    names = display_names([record(renamed, 3), record(LABELLED, 1)], runs(PLAIN))["method"]
    assert names == {"force": "progressive", "force rounds=300": "FORCE-300"}
    assert display_names([record(PLAIN, 2), record(LABELLED, 1)], runs(PLAIN))["method"] == {}  # taken back
    assert display_names([], runs(PLAIN))["method"] == {}


def test_a_report_uses_the_labels_in_tables_figures_and_csv(store: MakeStore, tmp_path) -> None:
    made: Store = store("a", runs(PLAIN))
    made.write_sweep(record(LABELLED, 1))
    files = write_report([made], tmp_path / "out", sweep="mine")
    assert "| FORCE-300 |" in files.summary.read_text()
    assert "FORCE-60" in next(path for path in files.figures if path.suffix == ".svg").read_text()
    assert "FORCE-300" in files.summary_csv.read_text()
    assert "force rounds=300" in files.summary_csv.read_text()  # the label that never changes stays


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ({"name": "force", "label": 60}, "grid.method.label: text of up to 44 characters"),
        ({"name": "force", "label": " "}, "grid.method.label: text"),
        ({"name": "force", "label": "a|b"}, "grid.method.label: has a '|'"),
    ],
)
def test_a_label_that_no_table_can_show_is_an_error(method: object, message: str) -> None:
    with pytest.raises(InputError, match=message.replace("|", r"\|")):
        sweep(method)


def test_two_methods_of_one_label_and_one_method_of_two_are_errors() -> None:
    with pytest.raises(InputError, match="the label 'A' stands twice"):
        sweep({"name": "force", "label": "A"}, {"name": "snip", "label": "A"})
    with pytest.raises(InputError, match="stands twice in the grid"):
        sweep({"name": "force", "label": "A"}, {"name": "force", "label": "B"})


def test_an_own_network_may_have_an_option_called_label(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "labelled_nets.py").write_text(
        "from torch import nn\ndef build(classes: int, label: str = 'x') -> nn.Module:\n    return nn.Linear(1, classes)\n"
    )
    monkeypatch.chdir(tmp_path)
    choice = sweep("snip", architecture={"name": "labelled_nets.py:build", "label": "y"}).grid.architecture[0]
    assert (dict(choice.options)["label"], choice.display_name) == ("y", "")
    assert replace(choice, display_name="z") == choice
