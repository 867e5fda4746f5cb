"""Docstrings as Markdown."""

import pytest

from pruning.docstrings import attributes
from sweep.cli.print.markdown import (
    anchor,
    block,
    first_line,
    paragraphs,
    prose,
    references,
    sentence,
    table,
)


def documented():
    """A title.

        s_i = |θ_i|
        two lines, *not* prose

    Prose with ``code`` and
    + no list.

    Attributes:
        first: of the two;
            it goes on.
        second: the other.

    Raises:
        third: no attribute.
    """


def test_a_docstring_comes_apart_into_title_paragraphs_and_attributes():
    assert first_line(documented) == "A title."
    assert [text.partition("\n")[0] for text in paragraphs(documented)][:2] == [
        "    s_i = |θ_i|",
        "Prose with ``code`` and",
    ]
    assert attributes(documented, "Attributes") == {"first": "of the two; it goes on.", "second": "the other."}
    assert paragraphs(test_a_docstring_comes_apart_into_title_paragraphs_and_attributes) == []


def test_an_indented_paragraph_is_an_equation_to_the_letter():
    assert block(paragraphs(documented)[0]) == "```text\ns_i = |θ_i|\ntwo lines, *not* prose\n```\n"


def test_prose_is_wrapped_and_no_line_of_it_begins_a_list():
    assert block(paragraphs(documented)[1]) == "Prose with `code` and + no list.\n"
    text = block("word " * 23 + "and + 3, " * 60)
    assert max(map(len, text.splitlines())) <= 121
    assert not [line for line in text.splitlines() if line.startswith(("+ ", "- ", "3. "))]
    assert "\n\\+ 3" in text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (":func:`pruning.masks.prunable` and ``x_i``", "`pruning.masks.prunable` and `x_i`"),
        ("c_i of (Hg)_i, 2 * 3 < 4", r"c_i of (Hg)\_i, 2 \* 3 \< 4"),
        ("``a_*`` stays", "`a_*` stays"),
        ("**Lead:** is bold, 2 ** 3 is not", r"**Lead:** is bold, 2 \*\* 3 is not"),
        ("see arXiv:1810.02340, doi:10.1038/s41467-018-04316-3.",
         "see [arXiv:1810.02340](https://arxiv.org/abs/1810.02340), "
         "[doi:10.1038/s41467-018-04316-3](https://doi.org/10.1038/s41467-018-04316-3)."),
    ],
)  # fmt: skip
def test_prose_keeps_code_and_links_papers_and_emphasises_nothing(text, shown):
    assert prose(text) == shown


def test_a_sentence_begins_with_a_capital_and_a_formula_with_what_it_is():
    assert sentence("images a batch.") == "Images a batch."
    assert sentence("density^(t/T): each round") == "density^(t/T): each round"


def test_a_bar_in_a_cell_does_not_end_it():
    assert table(["a", "b"], [["|θ|", "2"]]) == "| a | b |\n| --- | --- |\n| \\|θ\\| | 2 |\n"


def test_an_anchor_is_what_git_hosts_make_of_a_heading():
    assert anchor("Erdős–Rényi kernel") == "erdősrényi-kernel"
    assert anchor("NTK-SAP") == "ntk-sap"
    assert references("control") == "control"
