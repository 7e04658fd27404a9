"""The page in a real browser: sources, plots, a stream with its clock and controls.

With ``SIMTOM_SCREENSHOTS=docs/images`` the screenshots of the documentation are taken anew.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from generators import list_generators
from simtom_pipelines.datasets import load_datasets
from simtom_pipelines.lake import ParquetLake
from simtom_pipelines.materialize import write_days
from tests.simtom_pipelines.service.browser import browser, shoot
from tests.simtom_pipelines.service.serving import Service, serving, wait

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

DATASETS = """\
datasets:
  - name: bnpl
    start_date: 2024-10-01
    config: {base_daily_volume: 2000}
"""
FIRST, DAYS = date(2024, 10, 1), 92


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("page")
    (made / "datasets.yaml").write_text(DATASETS)
    spec = load_datasets(made / "datasets.yaml")["bnpl"]
    days = [FIRST + timedelta(n) for n in range(DAYS)]
    list(write_days(ParquetLake(str(made / "lake")), spec, "transactions", days))
    return made


@pytest.fixture(scope="module")
def service(folder: Path) -> Iterator[Service]:
    with serving(folder, DATASETS) as made:
        yield made


class Page:
    """The page as a user sees it."""

    def __init__(self, driver: webdriver.Chrome, service: Service) -> None:
        self.driver = driver
        driver.get(service.url)
        self.until(lambda: self.text("name") == "bnpl", "the first generator is shown")
        self.until(lambda: len(self.all("#volume svg, #shape svg")) == 2, "both plots are drawn")

    def all(self, selector: str) -> list[WebElement]:
        return list(self.driver.find_elements(By.CSS_SELECTOR, selector))

    def one(self, name: str) -> WebElement:
        return self.driver.find_element(By.ID, name)

    def text(self, name: str) -> str:
        return str(self.driver.execute_script("return document.getElementById(arguments[0]).textContent", name))

    def attribute(self, selector: str, name: str) -> str:
        """Return an attribute in one step: the page may draw the element anew at any moment."""
        script = "return document.querySelector(arguments[0])?.getAttribute(arguments[1]) ?? ''"
        return str(self.driver.execute_script(script, selector, name))

    def number(self, name: str) -> float:
        return float(self.text(name).replace(",", "").replace("–", "nan"))

    def put(self, name: str, value: str) -> None:
        script = (
            "const e = document.getElementById(arguments[0]); e.value = arguments[1]; "
            "e.dispatchEvent(new Event('change', {bubbles: true}))"
        )
        self.driver.execute_script(script, name, value)

    def until(self, condition: Callable[[], Any], what: str) -> None:
        wait(lambda: bool(condition()), 60, what)


def test_sources_and_plots(service: Service) -> None:
    with browser() as driver:
        page = Page(driver, service)
        names = [each.text.splitlines()[0] for each in page.all("#generators button")]
        assert names == [info.name for info in list_generators()]
        assert page.all("#volume .event-name")
        label = page.attribute("#volume svg", "aria-label")
        assert re.match(r"Rows a day in 2024: between [\d,]+ and [\d,]+ expected", label)
        before = page.attribute("#volume svg .line", "d")
        page.one("year-after").click()
        page.until(lambda: page.attribute("#volume svg .line", "d") != before, "another year is drawn")
        assert page.text("year") == "2025"
        shape = page.attribute("#shape svg", "aria-label")
        page.put("day", "2025-03-09")
        page.until(lambda: page.attribute("#shape svg", "aria-label") != shape, "another day is drawn")
        page.all("#datasets button")[0].click()
        page.until(lambda: page.text("volume-title") == "Stored days", "the dataset is shown")
        page.until(lambda: "92 stored days" in page.attribute("#volume svg", "aria-label"), "its days")


def test_stream_is_started_paused_stepped_sped_up_sought_and_stopped(service: Service) -> None:
    with browser() as driver:
        page = Page(driver, service)
        shoot(driver, "idle")
        page.put("f-base_daily_volume", "20000")
        page.one("start").click()
        page.until(lambda: page.text("state") == "running" and page.number("records") > 300, "records come")
        assert page.text("clock").startswith("2024-11-29 ")
        assert page.number("rate") > 5
        assert page.number("p99") < 2_000
        lines = page.text("tail").splitlines()
        assert {json.loads(line)["generator"] for line in lines} == {"bnpl"}
        page.until(lambda: len(service.running()) == 1 and len(page.all("#all button")) == 1, "it is listed")
        page.until(lambda: page.number("records") > 1_000, "the pulse has some length")
        shoot(driver, "streaming")

        page.one("pause").click()
        page.until(lambda: page.text("state") == "paused", "it is paused")
        clock, records = page.text("clock"), service.running()[0]["records"]
        page.until(lambda: page.number("records") == records, "the last records are counted")
        shoot(driver, "paused")
        page.one("step").click()
        page.until(lambda: page.number("records") == records + 1, "one record came")
        assert page.text("clock") == clock

        page.put("speed", "60")
        page.one("pause").click()
        page.until(lambda: page.text("state") == "running", "it goes on")
        assert service.running()[0]["speed"] == 60
        page.put("seek", "2024-12-01T12:00")
        page.until(lambda: page.text("clock").startswith("2024-12-01 17:"), "it is elsewhere")
        page.put("speed", "1e9")
        page.until(lambda: page.one("error").is_displayed(), "the limit is told")
        assert "time_compression" in page.text("error")
        page.one("stop").click()
        page.until(lambda: page.text("state") == "ended: stopped", "it is stopped")
        assert not page.one("pause").is_enabled()
        assert service.running() == []


def test_stored_days_are_replayed_and_another_streams_button_stops_them(service: Service) -> None:
    with browser(dark=True) as driver:
        page = Page(driver, service)
        page.all("#datasets button")[0].click()
        page.until(lambda: page.text("stream-title") == "Replay stored days", "the form is the dataset's")
        page.put("f-start", "2024-11-29")
        page.put("f-day_in", "1m")
        page.one("start").click()
        page.until(lambda: page.number("records") > 200, "records come")
        shoot(driver, "dark")
        page.until(lambda: page.all("#all button"), "it is listed")
        page.all("#all button")[0].click()
        page.until(lambda: page.text("state") == "ended: stopped", "it is stopped")


def test_wrong_field_is_marked_and_told(service: Service) -> None:
    with browser() as driver:
        page = Page(driver, service)
        page.put("f-base_daily_volume", "99999999")
        page.one("start").click()
        page.until(lambda: page.one("error").is_displayed(), "the error is told")
        assert "99,999,999 given; allowed: 1 to 1,000,000" in page.text("error")
        assert page.one("f-base_daily_volume").get_attribute("aria-invalid") == "true"
        assert page.text("state") == "idle"


def test_page_works_by_keyboard_and_every_control_has_a_name(service: Service) -> None:
    with browser() as driver:
        page = Page(driver, service)
        nameless = driver.execute_script(
            "return [...document.querySelectorAll('button, input, select')].filter(e => !e.textContent.trim() && "
            "!e.getAttribute('aria-label') && !e.closest('label')).map(e => e.outerHTML)"
        )
        assert nameless == []
        driver.execute_script("document.getElementById('start').focus()")
        driver.switch_to.active_element.send_keys(Keys.ENTER)
        page.until(lambda: page.text("state") == "running", "it runs")
        driver.execute_script("document.getElementById('stop').focus()")
        driver.switch_to.active_element.send_keys(Keys.SPACE)
        page.until(lambda: page.text("state").startswith("ended"), "it is stopped")


def test_narrow_page_does_not_scroll_sideways(service: Service) -> None:
    with browser(size=(520, 900)) as driver:
        Page(driver, service)
        script = "const all = document.documentElement; return all.scrollWidth - all.clientWidth"
        assert driver.execute_script(script) <= 0


def test_token_is_asked_for(folder: Path) -> None:
    with serving(folder, DATASETS, token="opensesame") as service, browser() as driver:
        driver.get(service.url)
        dialog = driver.find_element(By.ID, "login")
        wait(dialog.is_displayed, 30, "the token is asked for")
        driver.find_element(By.ID, "token").send_keys("opensesame", Keys.ENTER)
        name = driver.find_element(By.ID, "name")
        wait(lambda: name.text == "bnpl", 30, "the page is filled")


def test_closed_page_ends_its_stream(service: Service) -> None:
    with browser() as driver:
        page = Page(driver, service)
        page.one("start").click()
        page.until(lambda: service.running(), "the stream runs")
    wait(lambda: not service.running(), 20, "no stream is left")
