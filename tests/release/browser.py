"""A browser without a network, for pages opened from a disk; tests that need it skip by name where there is none."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--no-first-run",
    "--host-resolver-rules=MAP * ~NOTFOUND",
]


def need_browser() -> Any:
    """Playwright's entrance, or a skip that names what is missing."""
    if CHROMIUM is None:
        pytest.skip("needs the program chromium (Debian: apt-get install chromium)")
    return pytest.importorskip("playwright.sync_api", reason="needs the package playwright").sync_playwright


@contextmanager
def browser() -> Iterator[Any]:
    """Headless Chromium."""
    with need_browser()() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield started
        started.close()


class Opened:
    """A page in the browser, and all that it asked for and complained of."""

    def __init__(self, started: Any, path: Path, **options: Any) -> None:
        self.context = started.new_context(**{"viewport": {"width": 900, "height": 900}} | options)
        self.page = self.context.new_page()
        self.asked: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.goto(path.as_uri())
        if options.get("java_script_enabled", True):
            self.page.wait_for_selector("html[data-recomputed]", timeout=60_000, state="attached")

    def text(self, selector: str) -> str:
        """What a reader sees there."""
        return " ".join(self.page.inner_text(selector).split())

    @property
    def outcome(self) -> str:
        """agrees, differs or no."""
        return str(self.page.get_attribute("html", "data-recomputed"))

    def close(self) -> None:
        """Close its window."""
        self.context.close()
