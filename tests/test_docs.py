"""What the docs show, runs."""

import re
from pathlib import Path

import duckdb
import pytest
import torch

import pruning
from pruning import registry
from sweep.config import sweep_from
from sweep.grid import expand
from sweep.source import read_yaml
from sweep.store import Store

ROOT = Path(__file__).parents[1]


def blocks(path: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / path).read_text(encoding="utf-8"), re.DOTALL)


def test_the_readmes_library_snippet_runs_and_prunes_exactly():
    [code] = blocks("README.md", "python")
    names: dict = {}
    torch.manual_seed(0)
    exec(code, names)
    total = 784 * 300 + 300 * 10
    assert sum(int(m.sum()) for m in names["pruned"].masks.values()) == total - round(0.98 * total)
    assert sum(int((w != 0).sum()) for w in pruning.prunable(names["model"]).values()) == total - round(0.98 * total)


def test_the_readmes_yaml_is_a_valid_sweep(tmp_path, monkeypatch):
    [text] = blocks("README.md", "yaml")
    (tmp_path / "my_package").mkdir()
    (tmp_path / "my_package/nets.py").write_text(
        "from torch import nn\n\ndef build(classes):\n    return nn.Sequential(nn.Flatten(), nn.Linear(3072, classes))\n"
    )
    (tmp_path / "mine.yaml").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert len(expand(sweep_from(read_yaml("mine.yaml")))) == 3 * 3 * (1 + 6 * 5)


def test_the_readmes_query_runs_on_a_store(tmp_path, monkeypatch, outcome):
    [query] = blocks("README.md", "sql")
    store = Store(tmp_path / "results")
    for seed in (0, 1):
        store.write(outcome(f"{seed:016x}", seed=seed, test_accuracy=0.5 + seed / 4))
    monkeypatch.chdir(tmp_path)
    assert duckdb.sql(query).fetchall() == [("snip", 0.5, 0.625, 2)]


def test_every_command_that_the_readme_shows_exists():
    from sweep.cli import main

    shown = set(re.findall(r"^\$ sweep (\w+)", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE))
    assert shown
    assert shown <= set(main.commands)


def test_every_file_that_a_page_links_to_is_there():
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\((?!http|#)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_guides_method_runs_with_its_option(monkeypatch):
    monkeypatch.setattr(registry, "_METHODS", dict(registry._METHODS))
    [code] = blocks("docs/adding-a-method.md", "python")
    exec(code, {})
    # two weights, one input: y = 1·3 − 2·1 = 1 and ½y²: g = (3, 1), squared (9, 1): the first is kept
    model = torch.nn.Sequential(torch.nn.Linear(2, 1, bias=False))
    model[0].weight.data = torch.tensor([[1.0, -2.0]])
    batch = (torch.tensor([[3.0, 1.0]]), torch.tensor([[0.0]]))

    def half_square(outputs, targets):
        return 0.5 * (outputs - targets).square().sum(1).mean()

    masks = pruning.prune(model, "gradient", 0.5, [batch], loss=half_square, power=2).masks
    assert masks["0.weight"].tolist() == [[True, False]]
    with pytest.raises(ValueError, match="no option 'exponent'; its options: scope, power"):
        pruning.find("gradient").resolve({"exponent": 2})


def test_the_words_page_has_every_status():
    from sweep.records import STATUSES

    words = (ROOT / "docs/words.md").read_text(encoding="utf-8")
    assert all(status in words for status in STATUSES)
