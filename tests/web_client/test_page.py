"""The page in a real browser, against a real server."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.client import Client
from tests.models import write_model
from tests.tools import ServerProcess, free_port, running_server
from tests.web_client.browser import Browser, running_browser
from viewer_client.core.appearance import ColorMap
from viewer_client.files.png import picture
from viewer_client.files.saving import read_recipe

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]
FLAGS = ("--threads", "1", "--capacity", "1000", "--fixed-batch", "2", "--precision", "float32")
T = "Number(document.querySelector('.figures b').textContent)"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "tiny.safetensors")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def server(browser: Browser, model: Path) -> Iterator[ServerProcess]:  # no server without a browser
    with running_server("--model", str(model), "--web-port", "0", *FLAGS) as server:
        yield server


def _open(browser: Browser, address: str, name: str = "page", **options: object) -> None:
    """A page whose first picture is there."""
    browser.do(
        "pages[args.name] = await openPage(args.address, args.options);"
        f"await pages[args.name].waitForFunction(() => {T} >= 0)",
        name=name,
        address=address,
        options=options,
    )


def _wait(browser: Browser, condition: str, name: str = "page") -> None:
    browser.do(
        f"await pages[args.name].waitForFunction(() => {condition}, null, {{ timeout: 90000 }})", name=name
    )


def _stride(browser: Browser, steps: int, name: str = "page") -> None:
    """Time runs in strides of so many steps."""
    browser.do(
        """const page = pages[args.name];
        await page.evaluate(() => {
          for (const one of document.querySelectorAll('.panel details')) one.open = true;
        });
        await page.getByLabel('stride').selectOption(`${args.steps} time steps`);""",
        name=name,
        steps=steps,
    )


def _settle(browser: Browser, name: str = "page") -> None:
    """The picture is clean, and time stands still."""
    _stride(browser, 30, name)
    _wait(browser, f"{T} === 0", name)
    browser.do("await pages[args.name].getByRole('button', { name: 'Pause' }).click()", name=name)
    _wait(browser, "document.querySelector('.readout p').textContent === 'paused'", name)


def _download(browser: Browser, item: str, path: Path, name: str = "page") -> Path:
    browser.do(
        """const page = pages[args.name];
        await page.getByLabel('Save', { exact: true }).click();
        const [file] = await Promise.all([page.waitForEvent('download'), page.getByText(args.item).click()]);
        await file.saveAs(args.path);""",
        name=name,
        item=item,
        path=str(path),
    )
    return path


def _noisy_columns(browser: Browser) -> list[float]:
    """How noisy each column of the picture is claimed to be, by what the page saves of it."""
    return browser.do(
        """const page = pages.page;
        await page.getByLabel('lay the time steps over the picture').check();
        await page.waitForTimeout(200);
        return page.evaluate(() => {
          const canvas = document.querySelector('.touched canvas');
          const { width, height } = canvas;
          const { data } = canvas.getContext('2d').getImageData(0, 0, width, height);
          const colored = (x, y) => data[4 * (y * width + x)] !== data[4 * (y * width + x) + 2];
          return Array.from({ length: width }, (_, x) =>
            Array.from({ length: height }, (_, y) => colored(x, y)).filter(Boolean).length / height);
        });"""
    )


@pytest.mark.parametrize("device", ["mouse", "finger"])
def test_a_stroke_lands_where_the_pointer_is(browser: Browser, server: ServerProcess, device: str) -> None:
    options = {"hasTouch": device == "finger", "viewport": {"width": 1000, "height": 700}}
    _open(browser, server.page, **options)
    _settle(browser)
    browser.do(
        """const page = pages.page;
        const box = await page.locator('.touched canvas').boundingBox();
        const [x, y] = [box.x + box.width * 0.25, box.y + box.height * 0.5];
        if (args.finger) {
          await page.touchscreen.tap(x, y);
        } else {
          await page.mouse.move(x, y);
          await page.mouse.down();
          await page.mouse.up();
        }""",
        finger=device == "finger",
    )
    _wait(browser, f"{T} === 15")  # half a radius at 30 time steps a radius
    columns = _noisy_columns(browser)
    noisy = [x for x, share in enumerate(columns) if share > 0]
    assert noisy == list(range(3, 11))  # centres within 0.15 of 0.25, of 28 columns
    browser.do("await pages.page.context().close()")


def test_a_picture_saved_by_the_page_is_what_the_viewer_replays(
    browser: Browser, server: ServerProcess, tmp_path: Path
) -> None:
    _open(browser, server.page)
    _settle(browser)
    browser.do(
        """const page = pages.page;
        const box = await page.locator('.touched canvas').boundingBox();
        await page.getByLabel('rule').selectOption('naive');
        await page.mouse.move(box.x + box.width * 0.3, box.y + box.height * 0.4);
        await page.mouse.down();
        await page.mouse.move(box.x + box.width * 0.7, box.y + box.height * 0.6, { steps: 5 });
        await page.mouse.up();
        await page.getByRole('button', { name: 'Step', exact: true }).click();
        await page.waitForTimeout(500);"""
    )
    saved = _download(browser, "Save picture", tmp_path / "saved.png")
    recipe = read_recipe(saved)
    assert not recipe.inexact
    assert recipe.steps > 10
    with Client(server.address) as client:
        client.start(recipe.session("tiny"))
        for step, command in recipe.commands():
            client.send(command, at_step=step)
        frame = client.frame(lambda frame: frame.step == recipe.steps and frame.idle)
    with Image.open(saved) as image:
        assert (np.asarray(image) == picture(frame, ColorMap.GREY)).all()
    browser.do("await pages.page.context().close()")


def test_a_link_replays_the_picture_exactly(browser: Browser, server: ServerProcess, tmp_path: Path) -> None:
    context = {"permissions": ["clipboard-read", "clipboard-write"]}
    _open(browser, server.page, **context)
    _settle(browser)
    browser.do("await pages.page.locator('.touched canvas').press('Enter')")
    _wait(browser, f"{T} === 15")
    first = _download(browser, "Save picture", tmp_path / "first.png")
    link = browser.do(
        """const page = pages.page;
        await page.getByLabel('Share', { exact: true }).click();
        await page.getByText('Link that replays this').click();
        await page.waitForFunction(() => document.querySelector('.notice').textContent.includes('copied'));
        return page.evaluate(() => navigator.clipboard.readText());"""
    )
    assert "#recipe=" in link
    _open(browser, link, "other")
    _wait(browser, "document.querySelector('.notice').textContent.startsWith('replayed: ')", "other")
    again = _download(browser, "Save picture", tmp_path / "again.png", "other")
    with Image.open(first) as one, Image.open(again) as other:
        assert (np.asarray(one) == np.asarray(other)).all()
    _open(browser, link[:-9], "cut")
    said = "document.querySelector('.notice').textContent"
    _wait(browser, f"{said}.startsWith('this recipe cannot be used')", "cut")
    for name in ("page", "other", "cut"):
        browser.do("await pages[args.name].context().close()", name=name)


def test_a_session_comes_back_after_the_server_was_killed(
    browser: Browser, model: Path, tmp_path: Path
) -> None:
    key = tmp_path / "key"
    key.write_bytes(bytes(range(32)))
    key.chmod(0o600)
    ports = ("--port", str(free_port()), "--web-port", str(free_port()))
    flags = ("--model", str(model), "--resume-key-file", str(key), *FLAGS, *ports)
    with running_server(*flags) as server:
        _open(browser, server.page)
        _settle(browser)
        browser.do("await pages.page.locator('.touched canvas').press('Enter')")
        _wait(browser, f"{T} === 15")
        browser.do("await pages.page.waitForTimeout(2500)")  # a token goes out about once a second
        server.process.send_signal(signal.SIGKILL)
        _wait(browser, "document.querySelector('.veil b')?.textContent.startsWith('reconnecting')")
        assert browser.do("return pages.page.locator('.veil').isVisible()")
    with running_server(*flags):
        _wait(browser, "document.querySelector('.sign').dataset.phase === 'live'")
        _wait(browser, "document.querySelector('.veil').hidden")
        assert browser.do(f"return pages.page.evaluate(() => {T})") == 15
        browser.do("await pages.page.getByRole('button', { name: 'Play' }).click()")
        _wait(browser, f"{T} === 0")
    browser.do("await pages.page.context().close()")


def _session(browser: Browser, name: str) -> str:
    """The session that a page would give others to watch."""
    return str(
        browser.do(
            """const page = pages[args.name];
            await page.getByLabel('Share', { exact: true }).click();
            await page.getByText('Link to watch me').click();
            return page.evaluate(() => navigator.clipboard.readText());""",
            name=name,
        )
    )


def test_two_tabs_have_a_session_each_and_a_reload_keeps_its_own(
    browser: Browser, server: ServerProcess
) -> None:
    _open(browser, server.page, "one", permissions=["clipboard-read", "clipboard-write"])
    browser.do(
        """pages.two = await openPage(args.address, { context: pages.one.context() });
        await pages.two.waitForFunction(() => document.querySelector('.sign').dataset.phase === 'live');""",
        address=server.page,
    )
    browser.do("await pages.two.bringToFront()")
    second = _session(browser, "two")
    browser.do("await pages.one.bringToFront()")
    first = _session(browser, "one")
    assert first != second
    _wait(browser, f"{T} === 0", "one")
    browser.do("await pages.one.waitForTimeout(2500); await pages.one.reload()")
    _wait(browser, f"{T} === 0", "one")
    assert _session(browser, "one") == first
    browser.do("await pages.one.context().close()")


def test_one_who_watches_sees_the_session_and_cannot_touch_it(
    browser: Browser, server: ServerProcess
) -> None:
    _open(browser, server.page, "one", permissions=["clipboard-read", "clipboard-write"])
    _settle(browser, "one")
    _open(browser, _session(browser, "one"), "watcher")
    _wait(browser, "document.querySelector('.readout p').textContent === 'you are watching'", "watcher")
    browser.do("await pages.one.bringToFront(); await pages.one.locator('.touched canvas').press('Enter')")
    _wait(browser, f"{T} === 15", "one")
    _wait(browser, f"{T} === 15", "watcher")
    browser.do("await pages.watcher.keyboard.press('r')")
    _wait(browser, "document.querySelector('.notice').textContent.includes('only the session')", "watcher")
    for name in ("one", "watcher"):
        browser.do("await pages[args.name].context().close()", name=name)


@pytest.mark.parametrize("size", [(360, 640), (1280, 800)])
@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_axe_finds_nothing(
    browser: Browser, server: ServerProcess, size: tuple[int, int], scheme: str
) -> None:
    viewport = {"width": size[0], "height": size[1]}
    _open(browser, server.page, viewport=viewport, colorScheme=scheme, bypassCSP=True)
    findings = browser.do(
        """const page = pages.page;
        await page.getByLabel('Tour').click();
        await page.evaluate(() => {
          for (const one of document.querySelectorAll('.panel details')) one.open = true;
        });
        await page.addScriptTag({ path: require.resolve('axe-core/axe.min.js') });
        await page.waitForTimeout(500);
        const { violations } = await page.evaluate(() => axe.run());
        const where = (one) => one.nodes.map((node) => node.html).join(' ').slice(0, 400);
        return violations.map((one) => `${one.id}: ${where(one)}`);"""
    )
    assert findings == []
    browser.do("await pages.page.context().close()")


@pytest.mark.parametrize("size", [(360, 640), (768, 1024), (1280, 800), (2560, 1440)])
def test_everything_one_presses_is_large_enough_and_within_the_page(
    browser: Browser, server: ServerProcess, size: tuple[int, int]
) -> None:
    _open(browser, server.page, viewport={"width": size[0], "height": size[1]}, locale="de")
    odd = browser.do(
        """const page = pages.page;
        await page.waitForTimeout(500);
        return page.evaluate(() => {
          const shown = [...document.querySelectorAll('button, select, summary, input, [role=slider]')]
            .filter((one) => one.checkVisibility() && !one.matches('[type=checkbox]'));
          const odd = shown.filter((one) => {
            const { width, height, right } = one.getBoundingClientRect();
            return height < 44 || width < 44 || right > innerWidth;
          }).map((one) => one.outerHTML.slice(0, 120));
          return [shown.length, odd, document.documentElement.scrollWidth > innerWidth];
        });"""
    )
    assert odd[0] > 20
    assert odd[1:] == [[], False]
    browser.do("await pages.page.context().close()")


def test_the_page_breaks_no_rule_of_its_own_server(browser: Browser, server: ServerProcess) -> None:
    _open(browser, server.page)
    assert browser.do("return problems") == []
    browser.do("await pages.page.context().close()")


def test_a_full_server_is_waited_for_in_the_persons_language(browser: Browser, model: Path) -> None:
    flags = ("--model", str(model), "--web-port", "0", "--max-sessions", "1", *FLAGS)
    with running_server(*flags) as server:
        _open(browser, server.page, "first")
        browser.do(
            """pages.second = await openPage(args.address, { locale: 'de' });
            await pages.second.waitForFunction(() =>
              document.querySelector('.veil p').textContent.includes('voll'));
            await pages.first.context().close();
            await pages.second.waitForFunction(() =>
              document.querySelector('.sign').dataset.phase === 'live');""",
            address=server.page,
        )
        _wait(browser, f"{T} >= 0", "second")
        browser.do("await pages.second.context().close()")


def test_a_token_that_is_typed_is_kept_and_the_models_are_listed(
    browser: Browser, model: Path, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("the-token-of-the-server")
    models = ("--model", str(model), "--model", str(write_model(tmp_path / "other.safetensors", seed=1)))
    with running_server(
        *models, "--web-port", "0", "--token-file", str(tmp_path / "token"), *FLAGS
    ) as server:
        browser.do(
            """const page = pages.page = await openPage(args.address);
            await page.getByLabel('token').fill('the-token-of-the-server');
            await page.getByLabel('token').press('Enter');
            const listed = () => page.waitForFunction(() => {
              for (const one of document.querySelectorAll('.panel details')) one.open = true;
              const names = [...document.querySelectorAll('.panel option')].map((one) => one.value);
              return document.querySelector('.sign').dataset.phase === 'live' && names.includes('other');
            });
            await listed();
            await page.reload();
            await listed();
            await page.context().close();""",
            address=server.page,
        )


# one session for all touches of a page: each has fingers of its own
FINGERS = """
const page = pages.page;
page.touches ??= await page.context().newCDPSession(page);
const touch = (type, ...points) => page.touches.send('Input.dispatchTouchEvent', {
  type, touchPoints: points.map(([x, y]) => ({ x, y })),
});
const picture = await page.locator('.touched canvas').boundingBox();
const at = (x, y) => [picture.x + picture.width * x, picture.y + picture.height * y];
const tap = async (name) => {
  const button = page.getByRole('button', { name, exact: true });
  await button.scrollIntoViewIfNeeded();
  const { x, y, width, height } = await button.boundingBox();
  await touch('touchStart', [x + width / 2, y + height / 2]);
  await touch('touchEnd');
};
"""
SCRIBBLE = (
    FINGERS
    + """
await touch('touchStart', at(0.3, 0.3));
for (let i = 1; i <= 3; i++) await touch('touchMove', at(0.3 + 0.4 * (i % 2), 0.3 + 0.01 * i));
await touch('touchEnd');
"""
)


def test_the_tour_is_done_by_touch(browser: Browser, server: ServerProcess) -> None:
    _open(browser, server.page, hasTouch=True, viewport={"width": 800, "height": 1000})
    _stride(browser, 10)
    browser.do(FINGERS + "await page.getByLabel('Tour').click(); await tap('New picture')")
    _wait(browser, "document.querySelector('.tour b').textContent === '2/4'")
    browser.do(SCRIBBLE)
    _wait(browser, "document.querySelector('.tour b').textContent === '3/4'")
    browser.do("await pages.page.getByLabel('rule').selectOption('naive')")
    browser.do(SCRIBBLE)
    _wait(browser, "document.querySelector('.tour b').textContent === '4/4'")
    browser.do(
        FINGERS
        + """await page.getByLabel('rule').selectOption('truth');
        await page.getByLabel('noise', { exact: true }).selectOption('constant ±1');
        await tap('Restart');
        await page.getByRole('button', { name: 'One dose' }).waitFor();
        await tap('One dose');"""
    )
    _wait(browser, "document.querySelector('.tour h2').textContent === 'That was the tour'")
    browser.do("await pages.page.context().close()")


def test_two_fingers_denoise_where_they_are(browser: Browser, server: ServerProcess) -> None:
    _open(browser, server.page, hasTouch=True, viewport={"width": 800, "height": 1000})
    _settle(browser)
    browser.do("await pages.page.getByLabel('drawing').selectOption('whole image')")
    browser.do(SCRIBBLE)  # noise everywhere
    _wait(browser, f"{T} > 30")
    browser.do(
        FINGERS
        + """await touch('touchStart', at(0.45, 0.5), at(0.55, 0.5));
        await page.waitForFunction(() =>
          document.querySelector('.figures small').textContent.startsWith('0–'));
        await touch('touchEnd');"""
    )
    assert browser.do(f"return pages.page.evaluate(() => {T})") > 30  # elsewhere it is as it was
    browser.do("await pages.page.context().close()")
