import json
import math
import re
import shutil
import weakref
import zipfile

import cv2
import numpy as np
import pytest

from unetseg.files import write_csv
from unetseg.report import page as report
from unetseg.report.entries import Entry
from unetseg.report.run import write_scored_report

EVIL = [
    "<script>document.title='taken'</script>.png",
    '"><img src=x onerror=document.title="taken">',
    "</script><b>.png",
    "$style & ünïcode.tif",
]
HISTORY = [
    {
        "epoch": str(epoch),
        "loss": str(1 / epoch),
        "dice": str(1 - 0.5 / epoch),
        "val_loss": str(1.1 / epoch),
        "val_dice": str(1 - 0.6 / epoch),
    }
    for epoch in range(1, 6)
]
METRICS = {"dice": {"mean": 0.9, "low": 0.85, "high": 0.95}, "precision": 0.8, "objects": {"f1_50": 0.7}, "images": 4}
PARAMS = {"train": {"epochs": 5, "loss": "bce_dice"}, "image": {"size": 32}}


def entry(index=0, *, truth=True, probability=True, name=None, size=(32, 48)):
    """An image whose nuclei stand further right the higher its number, and are found too far down."""
    mask, true = np.zeros(size, np.uint8), np.zeros(size, np.uint8)
    true[8:20, 4 + index : 16 + index] = 1
    mask[12:24, 4 + index : 16 + index] = 1
    image = np.repeat(60 * true[..., None] + np.uint8(20 * index), 3, axis=2)
    scores = {"modality": ("dark_grey", "colour")[index % 2], "objects": str(10 - index)}
    if truth:
        scores["dice"] = str([0.5, 1.0, 0.25, 0.75][index % 4])
    scores["uncertainty"] = index / 10
    certain = mask * np.float32(0.9 - 0.1 * index) + np.float32(0.05)
    return Entry(
        id=name or f"image {index}",
        image=image,
        mask=mask,
        truth=true if truth else None,
        probability=certain if probability else None,
        scores=scores,
    )


def write(path, entries, **changes):
    given = {
        "total": len(entries),
        "title": "A run",
        "subtitle": "Four images.",
        "metrics": METRICS,
        "params": PARAMS,
        "history": HISTORY,
    }
    report.write_report(path, iter(entries), **given | changes)
    return path


def data_of(path):
    return json.loads(re.search(r'id="data">(.*?)</script>', path.read_text(encoding="utf-8"), re.DOTALL)[1])


def test_the_same_input_gives_the_same_bytes(tmp_path):
    first, second = (write(tmp_path / name, [entry(0), entry(1)]) for name in ("a.html", "b.html"))
    assert first.read_bytes() == second.read_bytes()


def test_nothing_in_the_page_can_load_from_elsewhere(tmp_path):
    text = write(tmp_path / "page.html", [entry(0)]).read_text(encoding="utf-8")
    addresses = set(re.findall(r"https?:[^\s\"'<>)]*", text))
    assert addresses <= {"http://www.w3.org/2000/svg"}  # the name of a namespace, which nothing fetches
    assert "default-src 'none'; img-src data:;" in text


def test_scores_become_numbers_and_names_that_look_like_numbers_stay_text(tmp_path):
    scores = {
        "dice": "0.5",
        "objects": "12",
        "group": "1_2",
        "plate": "001",
        "well": "nan",
        "iou": "",
        "ap": math.nan,
        "flag": None,
        "size": 3,
    }
    given = Entry("x", *(getattr(entry(0), name) for name in ("image", "mask", "truth")), None, scores)
    (record,) = data_of(write(tmp_path / "page.html", [given]))["entries"]
    assert record["scores"] == {
        "dice": 0.5,
        "objects": 12,
        "group": "1_2",
        "plate": "001",
        "well": "nan",
        "iou": None,
        "ap": None,
        "flag": None,
        "size": 3,
    }


@pytest.mark.parametrize(
    ("truth", "probability", "layers"),
    [
        (True, True, {"errors", "prediction", "truth"}),
        (False, True, {"outlines", "prediction"}),
        (False, False, {"outlines", "prediction"}),
    ],
)
def test_the_layers_are_what_is_known(tmp_path, truth, probability, layers):
    (record,) = data_of(write(tmp_path / "page.html", [entry(0, truth=truth, probability=probability)]))["entries"]
    assert set(record["layers"]) == layers


def test_a_large_image_is_shrunk_in_proportion_and_a_small_one_is_left(tmp_path):
    large, small = data_of(write(tmp_path / "page.html", [entry(0, size=(600, 1300)), entry(1)], total=664))["entries"]
    assert (large["height"], large["width"]) == (118, 256)
    assert (small["height"], small["width"]) == (32, 48)


def test_no_more_than_two_images_are_held_at_a_time(tmp_path):
    alive = weakref.WeakSet()

    def made():
        for index in range(4):
            alive.add(one := entry(index))
            yield one
            del one
            assert len(alive) <= 2

    report.write_report(
        tmp_path / "page.html", made(), total=4, title="", subtitle="", metrics={}, params={}, history=[]
    )


def test_a_page_of_no_images_is_still_a_page(tmp_path):
    assert data_of(write(tmp_path / "page.html", []))["entries"] == []


def test_the_page_of_the_test_subset_is_made_of_what_the_stages_wrote(tmp_path):
    np.save(tmp_path / "images.npy", np.zeros((2, 16, 16, 3), np.uint8))
    np.save(tmp_path / "masks.npy", np.ones((2, 16, 16), np.uint8))
    np.save(tmp_path / "probabilities.npy", np.full((1, 16, 16), 0.75, np.float32))
    for table, names in (("samples.csv", ["other", "it"]), ("ids.csv", ["it"])):
        write_csv(tmp_path / table, [{"index": i, "id": name} for i, name in enumerate(names)], ["index", "id"])
    write_scored_report(
        tmp_path / "page.html",
        tmp_path,
        tmp_path,
        per_image=[{"id": "it", "dice": "1.0", "objects_true": "1"}],
        scores={"threshold": 0.5, "dice": {"mean": 0.98765}},
        history=HISTORY,
        params=PARAMS,
    )
    data = data_of(tmp_path / "page.html")
    assert [entry["id"] for entry in data["entries"]] == ["it"]
    assert data["entries"][0]["scores"]["uncertainty"] == pytest.approx(0.811, abs=1e-3)
    assert data["params"] == PARAMS
    assert "<title>Test subset: Dice 0.988</title>" in (tmp_path / "page.html").read_text(encoding="utf-8")


CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
OPTIONS = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--window-size=1366,900",
]  # fmt: skip


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    if not (CHROMIUM and DRIVER):
        pytest.skip("chromium and chromedriver are not installed")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for option in [*OPTIONS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"]:
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    driver.get("about:blank")  # what the browser's own first page asked for stands in the log before this
    yield driver
    driver.quit()


class Page:
    """What a person does with the page."""

    def __init__(self, driver, path):
        self.driver = driver
        driver.get_log("browser"), driver.get_log("performance")
        driver.get(path.as_uri())

    def all(self, selector):
        return self.driver.find_elements("css selector", selector)

    def one(self, selector):
        (found,) = self.all(selector)
        return found

    def names(self):
        return [cell.text for cell in self.all("td.name")]

    def head(self, label):
        (button,) = (button for button in self.all("th button") if button.text.rstrip(" ↑↓") == label)
        return button

    def press(self, key):
        from selenium.webdriver.common.keys import Keys

        self.driver.switch_to.active_element.send_keys(getattr(Keys, key))

    def open(self, name):
        self.one(f"[aria-label='Open {name}']").click()

    def set_slider(self, percent):
        script = "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('input', {bubbles: true}))"
        self.driver.execute_script(script, self.one("#viewer .reveal"), percent)

    def pixels(self, selector):
        """The colours of an element as they stand on the screen, red first."""
        picture = np.frombuffer(self.one(selector).screenshot_as_png, np.uint8)
        return cv2.imdecode(picture, cv2.IMREAD_COLOR_RGB).astype(int)

    def close(self):
        """Check that nothing went wrong and nothing was asked of a network."""
        assert self.driver.get_log("browser") == []
        events = (json.loads(line["message"])["message"] for line in self.driver.get_log("performance"))
        asked = [
            event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"
        ]
        assert asked
        assert {url.split(":")[0] for url in asked} <= {"file", "data"}


@pytest.fixture
def visit(chromium):
    pages = []

    def open_page(path):
        pages.append(Page(chromium, path))
        return pages[-1]

    yield open_page
    pages[-1].close()


@pytest.fixture
def page(tmp_path, visit):
    return visit(write(tmp_path / "page.html", [entry(index) for index in range(4)]))


def is_orange(pixels):
    return (pixels[..., 0] > 150) & (pixels[..., 1] > 90) & (pixels[..., 2] < 90)


def test_the_worst_image_stands_first_and_a_click_on_a_header_sorts(page):
    assert page.names() == ["image 2", "image 0", "image 3", "image 1"]
    page.head("Dice").click()
    assert page.names() == ["image 1", "image 3", "image 0", "image 2"]
    page.head("Objects").click()
    assert page.names() == ["image 3", "image 2", "image 1", "image 0"]
    assert page.one("th[aria-sort=ascending]").text.startswith("Objects")
    page.head("Kind").click()
    assert [cell.text for cell in page.all("td:nth-child(3)")] == ["colour", "colour", "dark grey", "dark grey"]


def test_without_truth_the_most_uncertain_image_stands_first(tmp_path, visit):
    page = visit(
        write(tmp_path / "page.html", [entry(index, truth=False) for index in range(4)], metrics={}, history=[])
    )
    shown = [float(row.text) for row in page.all("td:nth-child(4)")]
    assert shown == sorted(shown, reverse=True)
    assert shown[0] > shown[-1]
    assert page.all("#scores *") == []


def test_a_value_that_is_missing_stands_last_in_both_directions(tmp_path, visit):
    without = Entry("none", *(getattr(entry(0), name) for name in ("image", "mask")), None, None, {"dice": ""})
    page = visit(write(tmp_path / "page.html", [without, entry(0), entry(1)]))
    assert page.names() == ["image 0", "image 1", "none"]
    page.head("Dice").click()
    assert page.names() == ["image 1", "image 0", "none"]


def test_the_filter_leaves_the_rows_of_a_name_or_a_kind(page):
    page.one("#filter").send_keys("dark")
    assert page.names() == ["image 2", "image 0"]
    assert page.one("#count").text == "2 of 4 images"
    page.one("#filter").clear()
    page.one("#filter").send_keys("IMAGE 3")
    assert page.names() == ["image 3"]


def test_arrows_go_through_the_images_in_the_order_of_the_table_and_escape_closes(page):
    page.open("image 0")
    assert page.one("#viewer-position").text == "2 of 4"
    page.press("ARROW_RIGHT")
    assert page.one("#viewer-name").text == "image 3"
    page.press("ARROW_LEFT")
    page.press("ARROW_LEFT")
    page.press("ARROW_LEFT")
    assert page.one("#viewer-name").text == "image 2"
    page.press("ESCAPE")
    assert page.all("#viewer[open]") == []
    assert page.driver.switch_to.active_element.get_attribute("aria-label") == "Open image 2"


def test_the_buttons_go_through_the_images_too(page):
    page.open("image 2")
    page.one("#next").click()
    assert page.one("#viewer-name").text == "image 0"
    page.one("#previous").click()
    assert page.one("#viewer-name").text == "image 2"
    page.one("#close").click()
    assert page.all("#viewer[open]") == []


def test_the_slider_uncovers_the_errors_from_the_left(page):
    page.open("image 0")
    whole = is_orange(page.pixels("#viewer-picture"))
    assert whole.mean() > 0.01
    page.set_slider(0)
    assert not is_orange(page.pixels("#viewer-picture")).any()
    page.set_slider(20)
    half = is_orange(page.pixels("#viewer-picture"))
    edge = half.shape[1] // 5
    assert half[:, : edge - 2].sum() == whole[:, : edge - 2].sum() > 0
    assert not half[:, edge + 4 :].any()


def test_up_and_down_move_the_slider_of_the_picture_and_of_the_table(page):
    page.open("image 0")
    page.press("ARROW_DOWN")
    page.press("ARROW_DOWN")
    page.press("ARROW_UP")
    assert [slider.get_attribute("value") for slider in page.all(".reveal")] == ["95", "95"]
    assert page.one("#viewer-picture .layer").value_of_css_property("clip-path") == "inset(0px 5% 0px 0px)"


def test_another_layer_is_shown_in_the_table_and_in_the_viewer(page):
    from selenium.webdriver.support.ui import Select

    page.open("image 0")
    Select(page.one("#viewer .layer-choice")).select_by_visible_text("True mask")
    shown = page.pixels("#viewer-picture")
    top, left = shown.shape[0] * 9 // 32, shown.shape[1] * 8 // 48
    assert shown[top, left].min() > 240
    assert shown[2, 2].max() < 15
    assert {box.get_attribute("alt").split(" of ")[0] for box in page.all("tbody .layer")} == {"True mask"}


def test_every_picture_and_control_has_a_name(page):
    page.open("image 0")
    assert all(image.get_attribute("alt") for image in page.all("img"))
    assert all(control.accessible_name for control in page.all("#viewer button, #viewer select, #viewer input"))
    assert all(chart.get_attribute("aria-label") for chart in page.all("svg"))


def test_a_dot_opens_its_image(page):
    titles = {
        dot.find_element("css selector", "title").get_attribute("textContent"): dot for dot in page.all("circle.image")
    }
    titles["image 3: 0.750"].click()
    assert page.one("#viewer-name").text == "image 3"


def test_scores_parameters_and_curves_are_there(page):
    cards = dict(card.text.split("\n")[:2] for card in page.all("#scores div"))
    assert cards == {"Dice": "0.900", "Precision": "0.800", "Object F1": "0.700", "Images": "4"}
    assert len(page.all("path.validation")) == 2
    page.all("summary")[0].click()
    assert dict(pair.text.split("\n") for pair in page.all("details[open] dl div"))["train.loss"] == "bce_dice"


def test_a_number_stands_in_one_line_however_long_its_name(tmp_path, visit):
    metrics = {"external": {"another_laboratory_of_ours": {"by_kind": {"bright_grey": {"dice": 0.721}}}}}
    page = visit(write(tmp_path / "page.html", [entry(0)], metrics=metrics))
    page.all("summary")[1].click()
    lines = "const text = new Range(); text.selectNode(arguments[0].firstChild); return text.getClientRects().length"
    assert {page.driver.execute_script(lines, value) for value in page.all("details[open] dd")} == {1}


@pytest.mark.parametrize("known", [True, False])
def test_uncertain_pixels_are_explained_where_an_image_has_a_probability(tmp_path, visit, known):
    entries = [entry(0, truth=False, probability=False), entry(1, truth=False, probability=known)]
    page = visit(write(tmp_path / "page.html", entries))
    assert ("uncertain" in page.all(".legend")[0].text) == known


def test_a_name_is_shown_and_never_run(tmp_path, visit):
    page = visit(
        write(
            tmp_path / "page.html",
            [entry(index, name=name) for index, name in enumerate(EVIL)],
            title=EVIL[0],
            subtitle=EVIL[2],
            params={EVIL[1]: EVIL[2]},
        )
    )
    assert sorted(page.names()) == sorted(EVIL)
    assert page.driver.title == EVIL[0] == page.one("h1").text
    page.all(".thumbnail")[0].click()
    assert page.one("#viewer-name").text == page.names()[0]
    assert page.all("img[src=x], td script, td b") == []
    assert page.driver.title == EVIL[0]


def test_even_a_script_that_got_in_would_not_run(page):
    script = "const it = document.createElement('script'); it.text = 'document.title = 1'; document.body.append(it)"
    page.driver.execute_script(script)
    assert page.driver.title == "A run"
    assert page.driver.get_log("browser")[0]["level"] == "SEVERE"  # the policy's complaint, taken out of the log


def test_thumbnails_far_below_are_not_made_until_they_are_scrolled_to(tmp_path, visit):
    page = visit(write(tmp_path / "page.html", [entry(index % 4, name=f"image {index:03}") for index in range(60)]))
    last = page.all("tbody tr")[-1]
    assert last.find_elements("css selector", "img") == []
    page.driver.execute_script("arguments[0].scrollIntoView()", last)
    from selenium.webdriver.support.wait import WebDriverWait

    WebDriverWait(page.driver, 5).until(lambda _: last.find_elements("css selector", "img"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_follows_the_scheme_of_the_desktop(page, scheme):
    page.driver.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    )
    page.driver.execute_script("document.body.offsetTop")
    brightness = {
        name: sum(map(int, re.findall(r"\d+", page.one("body").value_of_css_property(name))[:3]))
        for name in ("color", "background-color")
    }
    assert (brightness["color"] < brightness["background-color"]) == (scheme == "light")


@pytest.mark.realdata
def test_a_page_of_664_real_images_is_below_15_megabytes(tmp_path, realdata):
    with zipfile.ZipFile(realdata / "stage1_small.zip") as archive:
        names = [name for name in archive.namelist() if re.search(r"/images/[^/]*\.png$", name)]
        stored = [cv2.imdecode(np.frombuffer(archive.read(name), np.uint8), cv2.IMREAD_COLOR_RGB) for name in names]
    images = [cv2.resize(image, (256, 256), interpolation=cv2.INTER_AREA) for image in stored]
    masks = [(image[..., 0] > image[..., 0].mean()).astype(np.uint8) for image in images]
    shifted = [np.roll(mask, 2, axis=1) for mask in masks]
    entries = [Entry(str(i), *three, None, {}) for i, three in enumerate(zip(images, masks, shifted, strict=True))]
    size = write(tmp_path / "page.html", entries, total=664).stat().st_size
    assert size / len(entries) * 664 < 15e6
