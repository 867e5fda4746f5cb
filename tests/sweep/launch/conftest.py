"""Folders to launch from. A test file says which config lies there, as CONFIG."""

import pytest

from ..small import own_networks


@pytest.fixture
def networks(tmp_path, monkeypatch):
    yield from own_networks(tmp_path, monkeypatch)


@pytest.fixture
def folder(tmp_path, networks, monkeypatch, request):
    """The working folder, with the config of the test file and nothing in its store."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.yaml").write_text(request.module.CONFIG)
    return tmp_path
