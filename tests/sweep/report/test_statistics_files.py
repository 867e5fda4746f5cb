"""Every number of the CSV files and of LaTeX, computed a second time from the runs of a synthetic store."""

import csv
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from sweep.records import DIVERGED, TrialRecord
from sweep.report import ReportFiles, analyse, panels, write_report
from sweep.report.latex.text import key, latex, unique_keys
from sweep.report.options import ReportOptions
from sweep.report.thresholds import thresholds
from sweep.statistics import Bound

from .conftest import MakeStore, panel, trial

pytestmark = pytest.mark.slow

METHODS, SPARSITIES, SEEDS = ("random", "snip", "force"), (0.9, 0.99, 0.999), range(5)
Runs = dict[tuple[str, str, float], np.ndarray]  # network, method, sparsity


def synthetic() -> Runs:
    generator = np.random.default_rng(7)
    runs = {(n, "dense", 0.0): generator.normal(0.93, 0.002, 5) for n in ("resnet20", "vgg16")}
    for network, method, sparsity in ((n, m, s) for n in ("resnet20", "vgg16") for m in METHODS for s in SPARSITIES):
        fall = {"random": 3.0, "snip": 2.0, "force": 1.0}[method] * (0.01 if sparsity == 0.9 else 0.04 * sparsity)
        runs[network, method, sparsity] = generator.normal(0.93 - fall, 0.004, 5)
    runs["vgg16", "random", 0.999][:2] = 0.1  # two runs at chance
    return {key: np.round(values, 4) for key, values in runs.items()}


def records(runs: Runs) -> list[TrialRecord]:
    return [
        trial(method, sparsity, seed, float(a), architecture=n, architecture_label=n, trial_id=f"{n}{method}{sparsity}{seed}")
        for (n, method, sparsity), values in runs.items()
        for seed, a in enumerate(values)
    ]  # fmt: skip


@pytest.fixture
def written(store: MakeStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Runs, ReportFiles]:
    monkeypatch.setattr("sweep.report.report.FIGURES", ())
    runs = synthetic()
    made = store("a", records(runs))
    return runs, write_report([made], tmp_path / "out", options=ReportOptions(latex=True, equivalence=0.01))


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def trained(values: np.ndarray) -> np.ndarray:
    return values[values > 0.145]


def test_every_number_of_summary_csv_is_that_of_scipy_and_statsmodels(written) -> None:
    runs, files = written
    found = rows(files.summary_csv)
    assert len(found) == len(runs)
    for row in found:
        values = runs[row["architecture"], row["method"], float(row["sparsity"])]
        good, chance = trained(values), int((values <= 0.145).sum())
        interval = stats.ttest_1samp(good, 0).confidence_interval()
        wilson = proportion_confint(chance, 5, method="wilson")
        numbers = {"mean": good.mean(), "low": interval.low, "high": interval.high, "std": good.std(ddof=1),
                   "n": len(good), "collapse_rate": chance / 5, "collapse_low": wilson[0], "collapse_high": wilson[1],
                   "mean_all": values.mean(), "collapsed": chance, "missing": 0}  # fmt: skip
        assert {name: float(row[name]) for name in numbers} == pytest.approx(numbers)
    names = {(row["data_name"], row["architecture_name"], row["method_name"]) for row in found}
    assert ("CIFAR-10", "VGG-16", "FORCE") in names


def test_every_number_of_comparisons_csv_is_that_of_scipy_and_statsmodels(written) -> None:
    runs, files = written
    found = rows(files.statistics[0])
    families: dict[tuple[str, str], list[dict[str, str]]] = {}
    for row in found:
        network = {"ResNet-20": "resnet20", "VGG-16": "vgg16"}[row["architecture_name"]]
        families.setdefault((row["family"], network), []).append(row)
    assert set(families) == {(f, n) for f in ("all pairs", "reference", "best") for n in ("resnet20", "vgg16")}
    for (_, network), of_family in families.items():
        p_values = []
        for row in of_family:
            a, b = (runs[network, row[f"method_{side}"], float(row["sparsity"])] for side in "ab")
            both = (a > 0.145) & (b > 0.145)
            test = stats.ttest_rel(a[both], b[both])
            interval, difference = test.confidence_interval(), (a - b)[both]
            p_values.append(test.pvalue)
            tost = max(stats.ttest_1samp(difference, -0.01, alternative="greater").pvalue,
                       stats.ttest_1samp(difference, 0.01, alternative="less").pvalue)  # fmt: skip
            wilson = proportion_confint((a > b).sum(), 5, method="wilson")
            numbers = {"mean": difference.mean(), "low": interval.low, "high": interval.high, "p_t": test.pvalue,
                       "std": difference.std(ddof=1), "n": both.sum(), "n_all": 5, "mean_all": (a - b).mean(),
                       "probability": (a > b).mean(), "probability_low": wilson[0], "probability_high": wilson[1],
                       "p_equivalence": tost, "margin": 0.01}  # fmt: skip
            assert {name: float(row[name]) for name in numbers} == pytest.approx(numbers, rel=1e-6, abs=1e-9)
            assert row["equivalent"] == str(bool(tost < 0.05)).lower()
        corrected = multipletests(p_values, method="holm")[1]
        assert [float(row["p_holm"]) for row in of_family] == pytest.approx(list(corrected), rel=1e-6)


def test_the_interpolated_sparsities_are_those_of_numpy_over_the_logarithm_of_density(written) -> None:
    runs, files = written
    for row in rows(files.statistics[1]):
        network = {"ResNet-20": "resnet20", "VGG-16": "vgg16"}[row["architecture_name"]]
        means = np.array([runs[network, row["method"], sparsity].mean() for sparsity in SPARSITIES])
        dense = runs[network, "dense", 0.0].mean()
        for name, margin in (("one_point", 0.01), ("five_points", 0.05)):
            limit = dense - margin
            sides = {True: "below", False: "at" if means[-1] <= limit else "above"}
            side = sides[means[0] <= limit and means[0] != limit]
            assert row[f"{name}_side"] == side
            if side == "at":
                place = np.interp(-limit, -means, -np.log10(1 - np.array(SPARSITIES)))  # the means fall
                assert float(row[name]) == pytest.approx(1 - 10**-place)
                assert float(row[f"{name}_low"]) <= float(row[name]) <= float(row[f"{name}_high"])
        assert (row["meets_random"] == "") == (row["method"] == "random")
        assert (float(row["collapse"]), row["collapse_side"]) == (0.999, "above")


def test_methods_over_all_cells_have_the_numbers_of_scipy(written) -> None:
    runs, files = written
    cells = [(network, sparsity) for network in ("resnet20", "vgg16") for sparsity in SPARSITIES]
    means = np.array([[runs[n, method, s].mean() for method in METHODS] for n, s in cells])
    ranks = dict(zip(METHODS, stats.rankdata(-means, axis=1).mean(axis=0), strict=True))
    friedman = stats.friedmanchisquare(*means.T).pvalue
    found = rows(files.statistics[2])
    assert {(row["method"], row["other"]) for row in found} == {(a, b) for a in METHODS for b in METHODS if a != b}
    for row in found:
        values = [runs[n, row["method"], s] for n, s in cells]
        others = [runs[n, row["other"], s] for n, s in cells]
        above = [stats.mannwhitneyu(x, y).statistic / 25 for x, y in zip(values, others, strict=True)]
        numbers = {"interquartile_mean": stats.trim_mean(np.concatenate(values), 0.25), "cells": 6,
                   "average_rank": ranks[row["method"]], "p_friedman": friedman,
                   "probability_above_other": np.mean(above)}  # fmt: skip
        assert {name: float(row[name]) for name in numbers} == pytest.approx(numbers)
        assert float(row["low"]) <= float(row["interquartile_mean"]) <= float(row["high"])


def test_equal_stores_give_equal_files(written, store: MakeStore, tmp_path: Path) -> None:
    _, files = written
    again = write_report([store("b", records(synthetic())[::-1])], tmp_path / "again", options=ReportOptions(latex=True, equivalence=0.01))  # fmt: skip
    for one, other in zip((*files.statistics, *files.latex, files.summary_csv), (*again.statistics, *again.latex, again.summary_csv), strict=True):  # fmt: skip
        assert one.read_bytes() == other.read_bytes(), one.name


def numbers_of(macros: Path) -> dict[str, str]:
    found = re.findall(r"\\csname sweep/(\S+)\\endcsname\{(.*)\}\n", macros.read_text())
    assert len(dict(found)) == len(found)  # no name twice
    return {name: text.replace("$-$", "-").replace("\\%", "%") for name, text in found}


def test_every_macro_has_the_number_of_scipy(written) -> None:
    runs, files = written
    found, checked = numbers_of(files.latex[1]), 0
    for network in ("resnet20", "vgg16"):
        for method, sparsity in ((m, s) for n, m, s in runs if n == network):
            values = runs[network, method, sparsity]
            good, where = trained(values), f"cifar10-{network}/{method}/{sparsity:g}"
            low, high = stats.ttest_1samp(good, 0).confidence_interval()
            expected = {"mean": f"{100 * good.mean():.2f}", "std": f"{100 * good.std(ddof=1):.2f}", "n": str(len(good)),
                        "interval": f"[{100 * low:.2f}, {100 * high:.2f}]", "meanall": f"{100 * values.mean():.2f}",
                        "chance": f"{5 - len(good)} of 5"}  # fmt: skip
            assert {name: found[f"{where}/{name}"] for name in expected} == expected
            checked += len(expected)
            for other in (m for m in METHODS if method != "dense" and m != method):
                a, b = values, runs[network, other, sparsity]
                both = (a > 0.145) & (b > 0.145)
                test = stats.ttest_rel(a[both], b[both])
                low, high = test.confidence_interval()
                where = f"cifar10-{network}/{method}/{other}/{sparsity:g}"
                assert (
                    found[f"{where}/diff"]
                    == f"{100 * test.statistic * (a - b)[both].std(ddof=1) / both.sum() ** 0.5:+.2f}"
                )
                assert found[f"{where}/diffinterval"] == f"[{100 * low:+.2f}, {100 * high:+.2f}]"
                assert found[f"{where}/diffn"] == str(both.sum())
                checked += 5  # with diffp and diffabove, which comparisons.csv has
    places = [name for name in found if name.count("/") == 2]
    assert len(found) == checked + len(places)


def test_a_latex_table_has_the_entries_of_the_report(written) -> None:
    _, files = written
    text = files.latex[0].read_text()
    (body,) = re.findall(r"sweep/accuracy/cifar10-vgg16/table\\endcsname\{(.*?)\\end\{tabular\}", text, re.DOTALL)
    lines = [line.removesuffix(r" \\%").split(" & ") for line in body.splitlines() if " & " in line]
    table = next(table for table in files.tables if table.title.endswith("VGG-16"))
    assert lines[0] == ["method", r"90\%", r"99\%", r"99.9\%"]
    for line, row in zip(lines[1:], table.rows, strict=True):
        assert line == [rf"\textbf{{{latex(e.text)}}}" if e.best else latex(e.text) for e in row]
    assert any(entry.best for row in table.rows for entry in row)


PAPER = r"""\documentclass{article}
\usepackage[T1]{fontenc}
\usepackage{booktabs}
\input{out/tables.tex}
\input{out/macros.tex}
\begin{document}
%s
\end{document}
"""


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
def test_a_paper_with_all_tables_and_numbers_compiles(written, tmp_path: Path) -> None:
    _, files = written
    names = re.findall(r"sweep/(\S+)/table\\endcsname", files.latex[0].read_text())
    numbers = [name.split("/") for name in numbers_of(files.latex[1])]
    used = [rf"\sweeptable{{{name}}}\par \sweepcaption{{{name}}}\par" for name in names]
    used += [
        "\\sweep" + command + "".join(f"{{{argument}}}" for argument in where) + r"\par" for *where, command in numbers
    ]
    (tmp_path / "paper.tex").write_text(PAPER % "\n".join(used))
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, done.stdout[-2000:]
    (tmp_path / "wrong.tex").write_text(PAPER % r"\sweepmean{cifar10-vgg16}{forse}{0.9}")
    wrong = subprocess.run([*command[:-1], "wrong.tex"], cwd=tmp_path, capture_output=True, text=True, timeout=100)
    assert wrong.returncode != 0
    assert 'There is no "cifar10-vgg16/forse/0.9/mean"' in wrong.stdout


def test_text_for_latex_is_escaped_and_keys_are_plain_and_unique() -> None:
    assert latex("99% & a_b #1 {x} $5 ~^\\") == (
        r"99\% \& a\_b \#1 \{x\} \$5 \textasciitilde{}\textasciicircum{}\textbackslash{}"
    )
    assert latex("-0.12 [-1.00, +0.30], re-initialised") == "$-$0.12 [$-$1.00, +0.30], re-initialised"
    assert latex("é 中") == "é U+4E2D"
    assert key("package.module:function rounds=300") == "package.module-function-rounds-300"
    assert unique_keys(["a:b", "a b", "a=b", "c"]) == {"a:b": "a-b", "a b": "a-b-2", "a=b": "a-b-3", "c": "c"}


def test_runs_that_collapse_or_diverge_end_where_they_do_and_others_are_censored() -> None:
    runs = [trial("snip", 0.9, seed, 0.8) for seed in range(3)]
    runs += [trial("snip", 0.99, 0, 0.1), trial("snip", 0.99, 1, None, status=DIVERGED), trial("snip", 0.99, 2, 0.7)]
    runs += [trial("snip", 0.999, 2, 0.6)]
    (found,) = thresholds(panel(runs))
    assert found.collapse.estimate == Bound(0.9)  # two of three end at 99 %
    assert (found.one_point, found.five_points, found.meets_random) == (None, None, None)  # no dense network, no random


def test_a_method_that_ran_in_less_than_half_of_the_cells_is_left_out_and_named() -> None:
    runs = [trial(m, s, 0, 0.9 - s / 10) for m in ("random", "snip") for s in (0.9, 0.95, 0.99)]
    runs += [trial("force", 0.9, 0, 0.8)]
    over = analyse(panels(runs)).aggregate
    assert (over.methods, over.tasks, dict(over.left_out)) == (("random", "snip"), 3, {"force": 1})
    assert analyse(panels(runs[:3])).aggregate is None  # one method
