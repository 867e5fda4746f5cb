"""YAML with places, and overrides."""

import math

import pytest

from sweep.config import yaml_tree as source
from sweep.config.yaml_tree import Node, override, read_yaml
from sweep.errors import InputError


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


@pytest.mark.parametrize(("text", "number"), [("5e-4", 5e-4), ("1E3", 1000.0), ("-.5e-1", -0.05), ("1000", 1000)])
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
        ("a:\n  b: 1\n  b: 2\n", r"sweep\.yaml:3: a\.b: stands twice"),
        ("a: 1\nb: \x07\n", r"sweep\.yaml:2: this is not valid YAML: the character U\+0007"),
        ("a: 1\nb: \0\n", r"sweep\.yaml:2: this is not valid YAML: the character U\+0000"),
        ('a: 1\nb: "x\\0"\n', r"sweep\.yaml:2: b: the character U\+0000"),
        ('a: 1\nb: ["\\ud800"]\n', r"sweep\.yaml:2: b: the character U\+D800"),
        ('"a\\e": 1\n', r"sweep\.yaml:1: a\\x1b: the character U\+001B"),
        ("a:\n  b: 9223372036854775808\n", r"sweep\.yaml:2: a\.b: 9223372036854775808 is too large a number"),
        ("a:\n  b: " + "9" * 5000, r"sweep\.yaml:2: a\.b: this is not valid YAML: '999"),
        ("a:\n  b: !!int x\n", r"sweep\.yaml:2: a\.b: .*'x' cannot be read as int"),
        ("a:\n  b: !!int ''\n", r"sweep\.yaml:2: a\.b: .*'' cannot be read as int"),
        ("a:\n  b: !!float ''\n", r"sweep\.yaml:2: a\.b: .*'' cannot be read as float"),
        ("a:\n  b: !!bool x\n", r"sweep\.yaml:2: a\.b: .*'x' cannot be read as bool"),
        ("a:\n  b: !!timestamp x\n", r"sweep\.yaml:2: a\.b: .*'x' cannot be read as timestamp"),
        ("a:\n  b: !!binary aGk=\n", r"sweep\.yaml:2: a\.b: .* no values of the kind .*binary"),
        ("a:\n  b: !!map x\n", r"sweep\.yaml:2: a\.b: .* no values of the kind .*map"),
        ("a:\n  b: !!set {x}\n", r"sweep\.yaml:2: a\.b: .* no values of the kind .*set"),
        ("a: &a {x: 1}\nb:\n  <<: *a\n", r"sweep\.yaml:3: b\.<<: a config has no merge keys"),
        ("a:\n  ? [x]\n  : 1\n", r"sweep\.yaml:2: a: a key is a word, not a mapping or a list"),
        ("a:\n  '': 1\n", r"sweep\.yaml:2: a\.'': this is no key"),
        ("a: 1\nb: " + "[" * 600, r"sweep\.yaml:2: nested too deeply"),
        ("a: 1\nb:\n  c: " + "[" * 30 + "]" * 30, r"sweep\.yaml:3: b\.c: nested too deeply"),
        ("a: &a {x: *a, y: *a}\n", r"sweep\.yaml:1: a\.x.*: nested too deeply"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_yaml_errors_name_file_and_line(yaml, text, message):
    with pytest.raises(InputError, match=message):
        read_yaml(yaml(text))


def test_aliases_that_multiply_without_end_are_refused_quickly(yaml):
    lines = [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 15)]
    with pytest.raises(
        InputError, match=r"sweep\.yaml:1: a\d: more than 100,000 values, with those that aliases repeat"
    ):
        read_yaml(yaml("\n".join(["a0: &a0 [1, 2, 3, 4, 5, 6, 7, 8, 9]", *lines])))


def test_a_file_that_is_not_utf8_is_named_with_the_line(yaml):
    path = yaml("")
    path.write_bytes(b"a: 1\nb: caf\xe9\n")
    with pytest.raises(InputError, match=r"sweep\.yaml:2: cannot read this config: it is not UTF-8 text"):
        read_yaml(path)


def test_a_byte_order_mark_and_any_line_ends_are_read(yaml):
    path = yaml("")
    for end in (b"\n", b"\r\n", b"\r"):
        path.write_bytes(b"\xef\xbb\xbfa: 1" + end + b"b: 2" + end)
        assert values(read_yaml(path)) == {"a": 1, "b": 2}
        assert read_yaml(path).value["b"].where.endswith("sweep.yaml:2")


def test_a_key_is_what_is_written(yaml):
    assert values(read_yaml(yaml("null: 1\nyes: 2\n1.50: 3\n2001-02-03: 4\n"))) == {
        "null": 1,
        "yes": 2,
        "1.50": 3,
        "2001-02-03": 4,
    }


def test_an_error_is_one_line_that_a_terminal_may_show_and_not_without_end():
    where = Node(1, "a.yaml:1")
    message = str(where.error("a\nb\x1b[31m", "one\n  two\x07" + "x" * 10_000 + "the end"))
    assert message.startswith("a.yaml:1: a b\\x1b[31m: one two\\x07xxx")
    assert message.endswith("xxxthe end")
    assert len(message) < 1100 and message.isprintable()


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


@pytest.mark.parametrize(
    "setting", ["grid.seed", "=1", "grid..seed=1", ".=1", pytest.param("a." * 2000 + "b=1", id="deep")]
)
def test_an_override_that_is_none_says_how_to_write_it(yaml, setting):
    with pytest.raises(InputError, match=r"write it as --set KEY=VALUE"):
        override(read_yaml(yaml("grid: {}")), [setting])


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("a.b=\x07", r"^--set a\.b: this is not valid YAML: the character U\+0007"),
        ("a.b=!!int x", r"^--set a\.b: this is not valid YAML: 'x' cannot be read as int"),
        ("a.b={c: 1, c: 2}", r"^--set a\.b: a\.b\.c: stands twice"),
        ("a.b=1,!!bool x", r"^--set a\.b: this is not valid YAML: 'x' cannot be read as bool"),
        ("a\nb=[", r"^--set a b: this is not valid YAML: "),
    ],
)
def test_what_is_wrong_in_an_override_is_told_of_its_key(yaml, setting, message):
    with pytest.raises(InputError, match=message):
        override(read_yaml(yaml("a: {}")), [setting])


def test_an_override_below_a_scalar_says_so(yaml):
    with pytest.raises(InputError, match=r"--set name.first: 'name.first' leads into 'x'"):
        override(read_yaml(yaml("name: x")), ["name.first=y"])


@pytest.mark.parametrize(
    "text",
    [
        "1:30.5",
        "1:30",
        "-1:30:00.5",
        "0.9_5",
        "1_000",
        "5e1_0",
        "._5",
        "1_.5",
        "0x10",
        "0o7",
        "010",
        "0b1",
        "1e",
        "٣e٥",
        "٣",
    ],
)
def test_what_is_no_decimal_number_is_text(yaml, text):
    assert read_yaml(yaml(f"x: {text}")).value["x"].value == text


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0.95", 0.95),
        ("1.", 1.0),
        ("+.5", 0.5),
        ("-.5", -0.5),
        ("1.5e3", 1500.0),
        ("-3", -3),
        ("+3", 3),
        (".inf", math.inf),
        ("!!float 3", 3.0),
    ],
)
def test_a_decimal_number_is_one_in_every_spelling(yaml, text, number):
    found = read_yaml(yaml(f"x: {text}")).value["x"].value
    assert (found, type(found)) == (number, type(number))


@pytest.mark.parametrize(
    "text", ["!!float 1:30", "!!float 1_0.5", "!!int 1:30", "!!int 0x10", "!!int 010", "!!int 1_0"]
)
def test_a_tag_makes_no_number_of_it_either(yaml, text):
    with pytest.raises(InputError, match="cannot be read as"):
        read_yaml(yaml(f"x: {text}"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seed: [" + "1," * 600_000 + "1]", "more than 1,000,000 bytes"),
        ("seed: [" + "1," * 100_001 + "1]", "more than 100,000 values"),
        ("seed:\n" + "- 1\n" * 100_001, "more than 100,000 values"),
        ("name: " + "x" * 1_000_000, "more than 1,000,000 bytes"),
    ],
    ids=["bytes in a list", "list", "lines", "text"],
)
def test_a_file_that_is_too_large_for_a_config_is_refused_without_being_parsed(text, message, tmp_path, monkeypatch):
    (tmp_path / "sweep.yaml").write_text(text)
    monkeypatch.setattr(source, "_compose", None)
    with pytest.raises(InputError, match=rf"sweep\.yaml: {message}"):
        source.read_yaml(tmp_path / "sweep.yaml")


def test_a_file_without_end_is_read_no_further_than_a_config_goes():
    with pytest.raises(InputError, match=r"^/dev/zero: more than 1,000,000 bytes"):
        source.read_yaml("/dev/zero")
