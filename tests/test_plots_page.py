"""The page of `dvc plots show` draws its charts without a network."""

import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")

DVC_YAML = """\
plots:
  - Dice:
      x: epoch
      y: {history.csv: [dice, val_dice]}
  - picture.png
"""

LENGTHS = "return [...document.querySelectorAll('.mark-line.role-mark path')].map(line => line.getTotalLength())"


@pytest.fixture
def page(tmp_path):
    shutil.copytree(ROOT / ".dvc" / "plots", tmp_path / ".dvc" / "plots")
    shutil.copy(ROOT / ".dvc" / "config", tmp_path / ".dvc" / "config")
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    (tmp_path / "dvc.yaml").write_text(DVC_YAML)
    (tmp_path / "history.csv").write_text("epoch,dice,val_dice\n1,0.1,0.2\n2,0.5,0.4\n3,0.9,0.8\n")
    cv2.imwrite(str(tmp_path / "picture.png"), np.full((8, 8, 3), 90, np.uint8))
    subprocess.run([sys.executable, "-m", "dvc", "plots", "show"], cwd=tmp_path, check=True, capture_output=True)
    return tmp_path / "dvc_plots" / "index.html"


@pytest.fixture
def browser(tmp_path):
    if not (CHROMIUM and DRIVER):
        pytest.skip("chromium and chromedriver are not installed")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for word in ("headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-sync"):
        options.add_argument(f"--{word}")
    options.add_argument("--disable-background-networking")
    options.add_argument("--disable-component-update")
    options.add_argument(f"--user-data-dir={tmp_path / 'profile'}")
    options.add_argument("--host-resolver-rules=MAP * ~NOTFOUND")  # no network, wherever this runs
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    yield browser
    browser.quit()


def test_the_page_of_plots_draws_its_charts_without_a_network(page, browser):
    from selenium.webdriver.support.wait import WebDriverWait

    browser.get(page.as_uri())
    lengths = WebDriverWait(browser, 20).until(lambda browser: browser.execute_script(LENGTHS))

    assert len(set(lengths)) == 2  # dice and val_dice, each drawn as it is and smoothed
    assert min(lengths) > 300  # across a chart of 300 pixels, and up
    assert browser.execute_script("return document.querySelector('img').naturalWidth") == 8
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []


def test_the_page_of_plots_asks_for_nothing_from_the_network(page):
    text = page.read_text(encoding="utf-8")

    assert 'src="http' not in text
    assert "<link" not in text
