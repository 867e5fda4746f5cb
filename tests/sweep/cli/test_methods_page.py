"""docs/methods.md, as `sweep methods --markdown` prints it."""

from pruning import registry
from sweep.cli.print import methods_page


def test_the_page_is_of_shipped_methods_alone(monkeypatch):
    page = methods_page.page()
    monkeypatch.setattr(registry, "_METHODS", dict(registry._METHODS))
    registry.register("mine", paper="ours")(lambda problem: {})
    assert methods_page.page() == page


def test_the_page_has_every_shared_option_and_setting_with_its_meaning():
    rows = [line.split(" | ") for line in methods_page.page().splitlines() if line.startswith("| `")]
    meanings = {row[0].strip("| `"): row[2].strip(" |") for row in rows}
    for name in ("rounds", "schedule: exponential", "schedule: linear", "scope: global", "scope: layerwise", "floor"):
        assert meanings[name].endswith(".")
    for name in ("batch_size", "batches", "sampling", "fresh_batches", "augment", "loss", "mode"):
        assert meanings[name].endswith(".")


def test_a_method_has_its_preset_its_own_options_and_the_shared_ones_in_its_chapter():
    lines = methods_page.page().splitlines()
    shared = "`rounds: 60`, `schedule`, `scope`, `floor`"
    assert f"| `force` | 60 rounds; removed weights may come back | `truncate: false` | {shared} |" in lines
    assert f"| `iter_snip` | 60 rounds | `truncate: false` | {shared} |" in lines
    assert "| `dense` | keeps everything | – | – |" in lines
    [grasp] = [line for line in lines if line.startswith("| `grasp` |")]
    assert grasp.startswith("| `grasp` | one-shot | `temperature: 200`")
    assert grasp.endswith(" | `scope`, `floor` |")
    [imp] = [line for line in lines if line.startswith("| `imp` |")]
    assert imp.endswith(" | `rewind_epoch: 0` | `rounds: 5`, `scope`, `floor` |")  # of its masking, and yet shared
