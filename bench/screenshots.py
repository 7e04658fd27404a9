"""The pictures of the Dagster UI in docs/images, taken in headless Chromium from a folder of `bench.dagster_backfill`.

Run with ``python -m bench.screenshots FOLDER dataset/table NAME=PAGE ...``, for example
``checks='/assets/bnpl/transactions?view=checks'``.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.common.by import By

from simtom_pipelines.instance import PROJECT
from tests.simtom_pipelines.daemons import services

WIDTH, HEIGHT = 1600, 900
SETTLE_SECONDS = 8.0
"""The UI polls: a page is looked at once its numbers are there."""

FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--hide-scrollbars",
    f"--window-size={WIDTH},{HEIGHT}",
)  # fmt: skip


@contextmanager
def browser() -> Iterator[webdriver.Chrome]:
    """Run headless Chromium with a profile of its own."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or shutil.which("google-chrome") or ""
    with tempfile.TemporaryDirectory() as profile:
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
        try:
            yield driver
        finally:
            driver.quit()


def take(driver: webdriver.Chrome, address: str, target: Path, click: str | None = None) -> None:
    """Open a page, press a button by its text where one is named, and save what is seen."""
    driver.get(address)
    time.sleep(SETTLE_SECONDS)
    for text in filter(None, (click or "").split(">")):
        button = driver.find_element(By.XPATH, f"//*[normalize-space(text())='{text}']")
        driver.execute_script("arguments[0].scrollIntoView({block: 'start'}); arguments[0].click();", button)
        time.sleep(SETTLE_SECONDS / 2)
    driver.save_screenshot(str(target))


def main() -> None:
    """Take the named pages."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="as left by bench.dagster_backfill --keep")
    parser.add_argument("pages", nargs="+", metavar="NAME=PAGE[#BUTTON>BUTTON]")
    parser.add_argument("--output", type=Path, default=PROJECT / "docs" / "images")
    given = parser.parse_args()
    with services(given.folder, (given.folder / "datasets.yaml").read_text()) as running, browser() as driver:
        time.sleep(SETTLE_SECONDS)
        for page in given.pages:
            name, _, path = page.partition("=")
            path, _, click = path.partition("#")
            take(driver, f"http://127.0.0.1:{running.port}{path}", given.output / f"{name}.png", click or None)
            print(given.output / f"{name}.png")


if __name__ == "__main__":
    main()
