"""Pages in a headless Chromium: what they log, what they request, how they look at a width."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

# Chromium's own background requests end on a machine without internet access, each in an error.
_ARGUMENTS = [
    "--no-sandbox",  # as root it does not start with one
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@dataclass
class Visit:
    """One page and what it did.

    Attributes:
        page: Playwright's page.
        errors: console errors and uncaught exceptions, in order.
        requests: every address that was asked for.
    """

    page: Any
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


def find_chromium() -> str:
    """The path of an installed Chromium; the test is skipped where there is none, and fails if CI lacks it."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    if os.environ.get("SWEEP_TESTS_BROWSER") == "required":
        pytest.fail("no Chromium on the path: apt-get install chromium")
    pytest.skip("no Chromium on the path")


@contextmanager
def visit(address: str, width: int = 1280, height: int = 900, **options: Any) -> Iterator[Visit]:
    """Open ``address`` in a new headless Chromium of that window size."""
    from playwright import sync_api  # one of the dev dependencies: only a Chromium may be missing

    path = find_chromium()
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=_ARGUMENTS)
        try:
            page = browser.new_page(viewport={"width": width, "height": height}, **options)
            seen = Visit(page)
            page.on("console", lambda message: message.type == "error" and seen.errors.append(message.text))
            page.on("pageerror", lambda error: seen.errors.append(str(error)))
            page.on("request", lambda request: seen.requests.append(request.url))
            page.goto(address)
            yield seen
        finally:
            browser.close()
