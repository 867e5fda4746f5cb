"""The browser that tests of pages use reports what a page did wrong."""

from pathlib import Path

import pytest

from tests.browser import visit

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_console_errors_exceptions_and_requests_are_recorded(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(
        "<h1>Hello</h1><img src='missing.png'><script>console.error('bad'); throw new Error('worse')</script>"
    )
    with visit(page.as_uri(), width=390) as seen:
        assert seen.page.inner_text("h1") == "Hello"
        assert seen.page.evaluate("innerWidth") == 390
        seen.page.wait_for_load_state()
    assert "bad" in seen.errors and any("worse" in error for error in seen.errors)
    assert any(request.endswith("missing.png") for request in seen.requests)
