"""The two views of a sweep that links open in MLflow's pages: its trials as a table, and as two charts.

MLflow's pages read such a view from a tag of the experiment, ``mlflow.sharedViewState.KEY``, when the address names the
key. It is plain JSON: which columns, sorted by what, which runs, which charts. MLflow 3.17 puts its defaults where a
part is missing; 3.5 needs all parts, so those that stay at the defaults are there too.
"""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sweep.tracking.mlflow_run import CLUSTER, KIND
from sweep.tracking.trial_run import ABLATION, Config

TAG = "mlflow.sharedViewState."
TRAINING = "custom_model_development"  # the kind of experiment that MLflow's "Model training" pages show
ACCURACY, SPARSITY, SEED = "metrics.`test_accuracy`", "params.`sparsity`", "params.`seed`"
COLUMNS = ("params.`method`", SPARSITY, SEED, "params.`architecture`", ACCURACY, f"tags.`{CLUSTER}`")
WIDTHS = {"params.`method`": 90, SPARSITY: 80, SEED: 60, "params.`architecture`": 110, ACCURACY: 115}  # pixels
MOST_COLUMNS = 24  # MLflow takes 5,000 characters a tag
RUNS_SHOWN = 100  # MLflow lists, and draws, so many runs at first
DEFAULTS: dict[str, Any] = {
    "startTime": "ALL",
    "lifecycleFilter": "Active",
    "datasetsFilter": [],
    "modelVersionFilter": "All Runs",
    "runsExpanded": {},
    "runsPinned": [],
    "runsHidden": [],
    "runsVisibilityMap": {},
    "viewMaximized": False,
    "runListHidden": False,
    "useGroupedValuesInCharts": True,
    "groupBy": None,
    "groupsExpanded": {},
    "autoRefreshEnabled": True,
    "globalLineChartConfig": {"xAxisKey": "step", "lineSmoothness": 0, "selectedXAxisMetricKey": ""},
}
_SECTION, _ROUNDS, _METRICS = "sweep", "sweep-rounds", "sweep-metrics"  # ids of the groups of charts


@dataclass(frozen=True)
class Link:
    """The address of a view, from ``#`` on, and what it shows."""

    title: str
    address: str


@dataclass(frozen=True)
class View:
    """A view as MLflow stores it.

    Attributes:
        key: its name in addresses.
        title: what it shows.
        state: the JSON.
        mode: a parameter of the address; empty for the table.
    """

    key: str
    title: str
    state: Mapping[str, Any]
    mode: str = ""

    @property
    def tag(self) -> str:
        """The experiment's tag that holds it."""
        return TAG + self.key

    @property
    def value(self) -> str:
        """What the tag holds."""
        return json.dumps(self.state, separators=(",", ":"))

    def link(self, experiment: str) -> Link:
        """To this view of the experiment of that id."""
        query = f"workflowType=machine_learning&viewStateShareKey={self.key}{self.mode}"
        return Link(self.title, f"#/experiments/{experiment}/runs?{query}")


def views(configs: Collection[Config], differing: Iterable[str]) -> tuple[View, View]:
    """Both views of a sweep.

    Args:
        configs: of its trials.
        differing: names of the parameters that are not the same for all of them.
    """
    columns = list(COLUMNS)
    columns += [column for name in differing if (column := f"params.`{name}`") not in columns]
    if any(config.get(ABLATION) for config in configs):
        columns = list(dict.fromkeys([*columns, f"params.`{ABLATION}`"]))
    shown = {
        **DEFAULTS,
        "searchFilter": f"tags.`{KIND}` = 'trial'",
        "selectedColumns": columns[:MOST_COLUMNS],
        "columnOrder": columns[:MOST_COLUMNS],
        "columnWidths": WIDTHS,
        "runsHiddenMode": "SHOW_ALL",
        **_charts(configs),
    }
    # the charts draw the runs that are listed first: all methods and sparsities of one seed, before those of the next
    table = View("sweep", "Table", shown | {"orderByKey": ACCURACY, "orderByAsc": False})
    charts = View("sweep-charts", "Charts", shown | {"orderByKey": SEED, "orderByAsc": True}, "&compareRunsMode=CHART")
    return table, charts


def _charts(configs: Collection[Config]) -> dict[str, Any]:
    """Accuracy over sparsity, a dot a run in its method's colour, and accuracy by epoch; other metrics folded away."""
    validates = any((config.get("data") or {}).get("validation") for config in configs)
    metric = "validation_accuracy" if validates else "train_accuracy"
    common = {"metricSectionId": _SECTION, "deleted": False, "isGenerated": False, "runsCountToCompare": RUNS_SHOWN}
    accuracy = common | {
        "uuid": "sweep-accuracy",
        "type": "SCATTER",
        "displayName": "Test accuracy over sparsity, by method",
        "xaxis": {"key": "sparsity", "type": "PARAM"},
        "yaxis": {"key": "test_accuracy", "type": "METRIC", "dataAccessKey": "test_accuracy"},
    }
    epochs = common | {
        "uuid": "sweep-epochs",
        "type": "LINE",
        "displayName": f"{metric} by epoch",
        "metricKey": metric,
        "selectedMetricKeys": [metric],
        "lineSmoothness": 0,
        "xAxisScaleType": "linear",
        "scaleType": "linear",
        "range": {},
        "xAxisKey": "step",
        "selectedXAxisMetricKey": "",
        "yAxisKey": "metric",
        "yAxisExpressions": [],
        "ignoreOutliers": False,
        "useGlobalXaxisKey": False,
        "useGlobalLineSmoothing": True,
    }
    return {
        "compareRunCharts": [accuracy, epochs],
        "compareRunSections": [
            _section(_SECTION, "Accuracy", True) | {"columns": 2, "cardHeight": 480},
            _section(_ROUNDS, "round", False),
            _section(_METRICS, "Model metrics", False),
        ],
        "isAccordionReordered": True,
        "hideEmptyCharts": True,
    }


def _section(key: str, name: str, is_open: bool) -> dict[str, Any]:
    return {"uuid": key, "name": name, "display": is_open, "isReordered": True, "deleted": False, "isGenerated": False}
