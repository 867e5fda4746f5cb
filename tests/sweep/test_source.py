"""YAML with places, and overrides."""

import pytest

from sweep.errors import InputError
from sweep.source import override, read_yaml


@pytest.fixture
def yaml(tmp_path):
    def write(text: str):
        path = tmp_path / "sweep.yaml"
        path.write_text(text)
        return path

    return write


def values(node):
    if isinstance(node.value, dict):
        return {key: values(child) for key, child in node.value.items()}
    return [values(child) for child in node.value] if isinstance(node.value, list) else node.value


def test_every_key_knows_its_line(yaml):
    root = read_yaml(yaml("name: a\ngrid:\n  seed:\n    - 0\n    - 1\n"))
    assert root.value["grid"].value["seed"].where.endswith("sweep.yaml:3")
    assert root.value["grid"].value["seed"].value[1].where.endswith("sweep.yaml:5")


@pytest.mark.parametrize(("text", "number"), [("5e-4", 5e-4), ("1E3", 1000.0), ("-.5e-1", -0.05), ("1_000", 1000)])
def test_numbers_as_researchers_write_them_are_numbers(yaml, text, number):
    assert read_yaml(yaml(f"x: {text}")).value["x"].value == number


def test_text_that_only_looks_like_a_number_stays_text(yaml):
    assert read_yaml(yaml("x: 5e-4x")).value["x"].value == "5e-4x"


def test_an_empty_file_is_an_empty_mapping(yaml):
    assert read_yaml(yaml("# nothing\n")).value == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: [1\nc: 2\n", r"sweep\.yaml:3: this is not valid YAML"),
        ("a: 1\n\na: 2\n", r"sweep\.yaml:3: a: stands twice"),
        ("a: !!python/object/apply:os.system ['true']\n", "not valid YAML"),
        ("a: &x [*x]\n", "contains itself"),
        ("a: 2001-99-99\n", "not valid YAML"),
    ],
)
def test_yaml_errors_name_file_and_line(yaml, text, message):
    with pytest.raises(InputError, match=message):
        read_yaml(yaml(text))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"absent\.yaml: cannot read this config: No such file"):
        read_yaml(tmp_path / "absent.yaml")


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("grid.seed=0,1,2", [0, 1, 2]),
        ("grid.seed=7", 7),
        ("grid.seed=[3]", [3]),
        ("grid.seed={name: x, y: 1}", {"name": "x", "y": 1}),
        ('grid.seed="a,b"', "a,b"),
        ("grid.seed=1e-3", 1e-3),
        ("grid.seed=a=b", "a=b"),
        ("grid.seed=", None),
    ],
)
def test_overrides_are_yaml_and_commas_make_a_list(yaml, setting, expected):
    root = override(read_yaml(yaml("grid:\n  seed: 9\n  other: 1\n")), [setting])
    assert values(root) == {"grid": {"seed": expected, "other": 1}}
    assert root.value["grid"].value["seed"].where == "--set grid.seed"


def test_an_override_may_add_a_whole_branch(yaml):
    assert values(override(read_yaml(yaml("name: x")), ["a.b.c=1"])) == {"name": "x", "a": {"b": {"c": 1}}}


@pytest.mark.parametrize("setting", ["grid.seed", "=1", "grid..seed=1", ".=1"])
def test_an_override_that_is_none_says_how_to_write_it(yaml, setting):
    with pytest.raises(InputError, match=r"write it as --set KEY=VALUE"):
        override(read_yaml(yaml("grid: {}")), [setting])


def test_an_override_below_a_scalar_says_so(yaml):
    with pytest.raises(InputError, match=r"--set name.first: 'name.first' leads into 'x'"):
        override(read_yaml(yaml("name: x")), ["name.first=y"])
