"""The class wall in a real browser, against a real server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.models import write_model
from tests.tools import ServerProcess, running_server
from tests.web_client.browser import Browser, running_browser

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]
TOKEN = "the-token-of-the-wall"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running_browser() as browser:
        yield browser


@pytest.fixture
def server(browser: Browser, tmp_path: Path) -> Iterator[ServerProcess]:  # no server without a browser
    (tmp_path / "token").write_text(TOKEN)
    model = write_model(tmp_path / "tiny.safetensors")
    flags = ["--model", str(model), "--threads", "1", "--capacity", "1000", "--precision", "float32"]
    flags += ["--web-port", "0", "--wall", "--wall-token-file", str(tmp_path / "token")]
    with running_server(*flags) as server:
        yield server


def test_the_wall_shows_two_sessions_and_a_click_watches_one(browser: Browser, server: ServerProcess) -> None:
    browser.do(
        """for (const name of ['Ada', 'Zoë']) {
          const page = pages[name] = await openPage(args.address);
          await page.getByText('the class wall shows your picture').waitFor();
          await page.getByLabel('name on the wall').fill(name);
          await page.getByLabel('name on the wall').press('Enter');
        }
        const wall = pages.wall = await openPage(`${args.address}/wall#wall=${args.token}`);
        await wall.getByText('2 pictures').waitFor();
        for (const name of ['Ada', 'Zoë']) await wall.getByRole('link', { name: new RegExp(name) }).waitFor();
        await wall.waitForFunction(() => {
          const drawn = (canvas) => {
            const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
            return canvas.width === 28 && new Set(data).size > 9;
          };
          return [...document.querySelectorAll('.tile canvas')].every(drawn);
        });""",
        address=server.page,
        token=TOKEN,
    )
    assert browser.do("return pages.wall.url()") == f"{server.page}/wall"
    findings = browser.do(
        """const page = await openPage(`${args.address}/wall#wall=${args.token}`, { bypassCSP: true });
        await page.getByText('2 pictures').waitFor();
        await page.addScriptTag({ path: require.resolve('axe-core/axe.min.js') });
        const { violations } = await page.evaluate(() => axe.run());
        await page.context().close();
        return violations.map((one) => one.id);""",
        address=server.page,
        token=TOKEN,
    )
    assert findings == []
    browser.do(
        """const [opened] = await Promise.all([
          pages.wall.context().waitForEvent('page'),
          pages.wall.getByRole('link', { name: /Ada/ }).click(),
        ]);
        await opened.getByText('you are watching').first().waitFor();
        await opened.close();
        await pages.Ada.context().close();
        await pages.wall.getByText('1 picture', { exact: true }).waitFor();"""
    )
    assert browser.do("return problems") == []
    for name in ("Zoë", "wall"):
        browser.do("await pages[args.name].context().close()", name=name)


def test_the_wall_without_its_token_shows_nobody(browser: Browser, server: ServerProcess) -> None:
    browser.do(
        """const page = await openPage(`${args.address}/wall#wall=a-wrong-one`);
        await page.getByText('the wall has a token of its own').waitFor();
        await page.context().close();""",
        address=server.page,
    )
