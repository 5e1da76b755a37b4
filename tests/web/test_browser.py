"""The pages in a browser: no error, no request to elsewhere, by keyboard, two see the same."""

import shutil
from pathlib import Path
from urllib.parse import quote

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="a browser is driven by playwright")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ARGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
WAIT = 240_000.0
REPORT = "report?path=" + quote("<img src=x onerror=alert(1)>")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: install Debian's chromium"),
]


@pytest.fixture
def browser():
    with playwright.sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=CHROMIUM, args=ARGS)
        yield found
        found.close()


@pytest.fixture
def opened(browser, server):
    """Open pages that note what goes wrong, and check at the end that nothing did."""
    wrong = []

    def new(width=1440, height=900, scheme="light"):
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme
        )
        page = context.new_page()
        page.set_default_timeout(WAIT)
        page.on("console", lambda said: wrong.append(f"console: {said.text}"))
        page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
        page.on(
            "request",
            lambda asked: asked.url.startswith(server.address) or wrong.append(asked.url),
        )
        return page

    yield new
    assert wrong == []


@pytest.mark.slow
@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (390, "dark")])
def test_pages_fit_and_say_nothing_on_the_console(opened, server, tmp_path, width, scheme):
    page = opened(width, 844, scheme)
    for k, path in enumerate(
        (
            "",
            "run?path=easy",
            "compare?first=easy&second=fcfs",
            "live",
            "whatif",
            REPORT,
        )
    ):
        page.goto(server.address + path)
        if path.startswith(("run", "compare")):
            page.locator(".chart svg").first.wait_for()
        picture = tmp_path / f"{k}.png"
        page.screenshot(path=picture)
        assert Path(picture).stat().st_size > 2000
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width, path
    page.goto(server.address)
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(255, 255, 255)") == (scheme == "light")


@pytest.mark.slow
def test_two_browsers_see_the_same_simulation(opened, server):
    one, other = opened(), opened(390, 844, "dark")
    one.goto(server.address + "live")
    one.get_by_label("Token").fill(server.token)
    one.keyboard.press("Enter")
    start = one.get_by_role("button", name="Start")
    playwright.expect(start).to_be_enabled(timeout=WAIT)
    one.get_by_label("Jobs", exact=True).select_option("records:jobs.parquet")
    one.get_by_label("Cores of all sites").fill("64")
    start.focus()
    one.keyboard.press("Enter")
    state = one.locator("#state")
    playwright.expect(state).to_have_text("playing", timeout=WAIT)
    other.goto(one.url)
    playwright.expect(one.locator("#watchers")).to_have_text("2 look on")
    assert other.get_by_role("button", name="Take machine down").is_disabled()
    one.get_by_role("button", name="Take machine down").click()
    for page in (one, other):
        playwright.expect(page.locator("#notes li").first).to_contain_text("machine taken down")
        playwright.expect(page.locator("#c-running")).to_have_text("0")
        playwright.expect(page.locator("[data-live=queue] svg")).to_be_visible()
    one.get_by_role("button", name="Bring back machine").click()
    playwright.expect(one.locator("#notes li").first).to_contain_text("machine back")
    one.get_by_role("button", name="Pause").focus()
    one.keyboard.press("Space")
    for page in (one, other):
        playwright.expect(page.locator("#state")).to_have_text("paused")
    shown = [[page.inner_text(f"#c-{name}") for name in ("time", "queued", "running", "use")]
             for page in (one, other)]  # fmt: skip
    assert shown[0] == shown[1]
    with one.expect_response(lambda answer: answer.request.method == "DELETE"):
        one.get_by_role("button", name="End").click()
    playwright.expect(other.locator("#state")).to_have_text("ended")
    assert server.children() == []
