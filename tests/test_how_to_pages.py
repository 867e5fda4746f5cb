"""docs/coming-from.md and docs/how-many-seeds.md: configs are valid, figures are computed again."""

import re
from pathlib import Path

import pytest

from sweep.config.config import sweep_from
from sweep.config.grid import expand
from sweep.config.yaml_tree import read_yaml
from sweep.statistics import pairs_needed, wilson_interval

DOCS = Path(__file__).parents[1] / "docs"
CONFIGS = re.findall(r"```yaml\n(.*?)```", (DOCS / "coming-from.md").read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize(("text", "trials"), list(zip(CONFIGS, [12, 9], strict=True)))
def test_each_config_of_the_page_is_valid(text: str, trials: int, tmp_path: Path) -> None:
    file = tmp_path / "from.yaml"
    file.write_text(text)
    assert len(expand(sweep_from(read_yaml(file)))) == trials


def test_the_sparsity_of_a_lottery_ticket_is_that_of_three_levels_of_a_fifth() -> None:
    [sparsity] = re.findall(r"sparsity: ([\d.]+) +# 1 - 0.8 \*\* 3", CONFIGS[1])
    assert float(sparsity) == round(1 - 0.8**3, 6)


def test_the_table_of_seeds_is_what_the_function_says() -> None:
    page = (DOCS / "how-many-seeds.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([\d.]+) \| (\d+) \| (\d+) \| (\d+) \|$", page, re.MULTILINE)
    assert len(rows) == 6
    for std, *pairs in rows:
        assert [int(count) for count in pairs] == [pairs_needed(points, float(std)) for points in (0.5, 1.0, 2.0)]
    assert "pairs_needed(difference=1.0, std=0.5)  # 5" in page


def test_the_rates_at_chance_are_wilsons() -> None:
    page = (DOCS / "how-many-seeds.md").read_text(encoding="utf-8")
    [three, ten] = (f"{100 * wilson_interval(n, n).low:.0f}" for n in (3, 10))
    assert f"between {three} and 100 %" in page and f"between {ten} and 100 %" in page
