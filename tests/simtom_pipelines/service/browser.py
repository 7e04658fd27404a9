"""A headless Chromium that fails a test where the page wrote an error to its console."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from selenium import webdriver

SIZE = (1440, 1290)


def _needed(*names: str) -> str:
    found = next(filter(None, map(shutil.which, names)), None)
    if found is not None:
        return found
    words = f"{' or '.join(names)} is not installed (apt-get install chromium chromium-driver)"
    if os.environ.get("SIMTOM_REQUIRE_SERVERS") == "1":
        pytest.fail(words)
    pytest.skip(words)


@contextmanager
def browser(dark: bool = False, size: tuple[int, int] = SIZE) -> Iterator[webdriver.Chrome]:
    """Run Chromium."""
    options = webdriver.ChromeOptions()
    for argument in (
        "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
        "--force-device-scale-factor=1", "--lang=en-GB", f"--window-size={size[0]},{size[1]}",
    ):  # fmt: skip
        options.add_argument(argument)
    options.binary_location = _needed("chromium", "google-chrome")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(_needed("chromedriver")))
    try:
        driver.execute_cdp_cmd(
            "Emulation.setEmulatedMedia",
            {"features": [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]},
        )
        yield driver
        # The answers 401 and 422 that a test provokes are no errors of the page.
        wrong = [line for line in driver.get_log("browser") if " 4" not in line["message"]]
        assert wrong == []
    finally:
        driver.quit()


def shoot(driver: webdriver.Chrome, name: str) -> None:
    """Save a screenshot where SIMTOM_SCREENSHOTS names a folder."""
    folder = os.environ.get("SIMTOM_SCREENSHOTS")
    if folder:
        driver.save_screenshot(str(Path(folder) / f"service-{name}.png"))
