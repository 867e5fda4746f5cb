"""The pages that `make docs` writes from the code are up to date and complete."""

import dataclasses

import click
import pytest

from docs import generate
from sweep.cli import main
from sweep.config.config import SweepConfig


@pytest.mark.parametrize("name", generate.PAGES)
def test_a_generated_page_is_what_the_code_says(name: str) -> None:
    written = (generate.FOLDER / name).read_text(encoding="utf-8")
    assert generate.PAGES[name]() == written, f"docs/{name} is not up to date: make docs"


def test_every_section_of_a_config_is_on_its_page() -> None:
    parts = {field.name for field in dataclasses.fields(SweepConfig)} - {"name", "store"}
    assert set(generate.SECTIONS) == parts


def test_every_command_and_option_is_on_its_page() -> None:
    page = generate.cli_page()

    def commands(group: click.Group, path: str) -> None:
        for name, command in group.commands.items():
            if isinstance(command, click.Group):
                commands(command, f"{path} {name}")
                continue
            _, _, section = page.partition(f"## `{path} {name}`\n")
            section = section.partition("\n## ")[0]
            assert section, name
            for option in command.params:
                assert isinstance(option, click.Argument) or max(option.opts, key=len) in section, option.opts

    commands(main, "sweep")
