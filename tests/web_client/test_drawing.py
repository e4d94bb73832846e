"""A picture of one's own, drawn on the page in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from diffusion_toy.contract import messages as m
from tests.client import Client
from tests.models import write_model
from tests.tools import ServerProcess, running_server
from tests.web_client.browser import Browser, running_browser
from viewer_client.core.appearance import ColorMap
from viewer_client.files.png import picture
from viewer_client.files.saving import read_recipe

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]
FLAGS = ("--threads", "1", "--capacity", "1000", "--fixed-batch", "2", "--precision", "float32")
OPEN = """
const page = pages.page = await openPage(args.address, args.options ?? {});
await page.waitForFunction(() => document.querySelector('.sign').dataset.phase === 'live');
await page.evaluate(() => {
  for (const one of document.querySelectorAll('.panel details')) one.open = true;
});
await page.getByLabel('stride').selectOption('30 time steps');
await page.getByRole('button', { name: 'Draw your own' }).click();
const paper = page.locator('.paper canvas');
const box = await paper.boundingBox();
const at = (x, y) => [box.x + box.width * x, box.y + box.height * y];
const columns = () => page.evaluate(() => {
  const { width, height } = document.querySelector('.paper canvas');
  const { data } = document.querySelector('.paper canvas').getContext('2d').getImageData(0, 0, width, height);
  return Array.from({ length: width }, (_, x) =>
    Array.from({ length: height }, (_, y) => data[4 * (y * width + x)]).filter((ink) => ink > 0).length);
});
const shown = (least, most) => page.waitForFunction(([least, most]) => {
  const { width, height } = document.querySelector('.paper canvas');
  const { data } = document.querySelector('.paper canvas').getContext('2d').getImageData(0, 0, width, height);
  const inked = data.filter((ink, i) => i % 4 === 0 && ink > 0).length;
  return inked >= least && inked <= most;
}, [least, most]);
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def server(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    model = write_model(tmp_path_factory.mktemp("model") / "tiny.safetensors")
    with running_server("--model", str(model), "--web-port", "0", *FLAGS) as server:
        yield server


def test_a_drawing_becomes_the_picture_and_its_recipe_replays_it(
    browser: Browser, server: ServerProcess, tmp_path: Path
) -> None:
    browser.do(
        OPEN
        + """await page.mouse.move(...at(0.5, 0.2));
        await page.mouse.down();
        await page.mouse.move(...at(0.5, 0.8), { steps: 4 });
        await page.mouse.up();
        await shown(40, 200);
        const start = page.getByLabel('start at');
        await start.fill('0.4');
        await page.getByText('t 120 of 300').waitFor();
        await page.getByRole('button', { name: 'Denoise it from here' }).click();
        await page.waitForFunction(() => document.querySelector('.figures b').textContent === '0');
        const saving = page.waitForEvent('download');
        await page.getByLabel('Save', { exact: true }).click();
        await page.getByText('Save picture').click();
        await (await saving).saveAs(args.path);
        await page.context().close();""",
        address=server.page,
        path=str(tmp_path / "saved.png"),
    )
    recipe = read_recipe(tmp_path / "saved.png")
    assert not recipe.inexact
    assert recipe.start.origin.time_step == 120
    assert isinstance(recipe.start.origin.source, m.Pixels)
    ink = np.frombuffer(recipe.start.origin.source.content, np.uint8).reshape(28, 28)
    assert (ink.max(0) == 255).nonzero()[0].tolist() == [13, 14]  # upright, in the middle
    assert (ink.max(1) == 255).nonzero()[0].min() in (5, 6)
    with Client(server.address) as client:
        client.start(recipe.session("tiny"))
        for step, command in recipe.commands():
            client.send(command, at_step=step)
        frame = client.frame(lambda frame: frame.step == recipe.steps and frame.idle)
    with Image.open(tmp_path / "saved.png") as image:
        assert (np.asarray(image) == picture(frame, ColorMap.GREY)).all()


def test_one_draws_with_a_finger_erases_and_lets_it_turn_to_noise(
    browser: Browser, server: ServerProcess
) -> None:
    drawn = browser.do(
        OPEN
        + """const touches = await page.context().newCDPSession(page);
        const touch = (type, ...points) => touches.send('Input.dispatchTouchEvent', {
          type, touchPoints: points.map(([x, y]) => ({ x, y })),
        });
        await touch('touchStart', at(0.2, 0.5));
        await touch('touchMove', at(0.8, 0.5));
        await touch('touchEnd');
        await shown(40, 200);
        const before = await columns();
        await page.getByRole('button', { name: 'Rubber' }).click();
        await touch('touchStart', at(0.8, 0.5));
        await touch('touchMove', at(0.5, 0.5));
        await touch('touchEnd');
        await shown(10, before.reduce((sum, one) => sum + one, 0) - 20);
        const after = await columns();
        await page.getByRole('button', { name: 'Watch it turn to noise' }).click();
        await page.waitForFunction(() => Number(document.querySelector('.figures b').textContent) > 200);
        await page.context().close();
        return [before, after];""",
        address=server.page,
        options={"hasTouch": True, "viewport": {"width": 360, "height": 640}},
    )
    before, after = drawn
    assert all(before[x] for x in range(6, 22))
    assert all(after[x] for x in range(6, 10))
    assert not any(after[x] for x in range(14, 28))


def test_one_draws_by_keys_and_a_drawing_outlives_its_board(browser: Browser, server: ServerProcess) -> None:
    findings = browser.do(
        OPEN
        + """await page.keyboard.press('Space');
        for (let i = 0; i < 8; i++) await page.keyboard.press('ArrowRight');
        await page.keyboard.press('Space');
        for (let i = 0; i < 8; i++) await page.keyboard.press('ArrowDown');
        await shown(30, 80);
        const drawn = await columns();
        await page.addScriptTag({ path: require.resolve('axe-core/axe.min.js') });
        const { violations } = await page.evaluate(() => axe.run());
        const small = await page.evaluate(() => [...document.querySelectorAll('dialog button, dialog input')]
          .filter((one) => one.checkVisibility()).filter((one) => one.getBoundingClientRect().height < 44)
          .map((one) => one.outerHTML.slice(0, 120)));
        await page.keyboard.press('Escape');
        await page.locator('dialog.drawing').waitFor({ state: 'hidden' });
        await page.keyboard.press('x');
        await shown(30, 80);
        await page.getByRole('button', { name: 'Clear' }).click();
        await shown(0, 0);
        await page.context().close();
        return [violations.map((one) => one.id), small, drawn];""",
        address=server.page,
        options={"bypassCSP": True},
    )
    assert findings[:2] == [[], []]
    drawn = findings[2]
    assert all(drawn[x] for x in range(14, 22))
    assert not any(drawn[x] for x in range(12))
    assert browser.do("return problems") == []
