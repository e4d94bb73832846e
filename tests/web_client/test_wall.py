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
    flags += ["--grace", "5"]
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
        """const found = [];
        const look = async (path, width, what) => {
          const options = { bypassCSP: true, viewport: { width, height: 640 }, locale: 'en' };
          const page = await openPage(`${args.address}${path}`, options);
          await what(page);
          await page.addScriptTag({ path: require.resolve('axe-core/axe.min.js') });
          const { violations } = await page.evaluate(() => axe.run());
          const pressed = 'button, input, .toggle, .tile a';
          const small = await page.evaluate((pressed) => [...document.querySelectorAll(pressed)]
            .filter((one) => one.checkVisibility() && !one.matches('[type=checkbox]')).filter((one) => {
              const { width, height, right } = one.getBoundingClientRect();
              return height < 44 || width < 44 || right > innerWidth;
            }).map((one) => one.outerHTML.slice(0, 120)), pressed);
          found.push(...violations.map((one) => one.id), ...small);
          await page.context().close();
        };
        await look(`/wall#wall=${args.token}`, 1280, async (page) => {
          await page.getByText('2 pictures').waitFor();
          await page.getByRole('button', { name: 'spotlight: Ada' }).click();
          await page.getByRole('button', { name: 'Offer' }).click();
          await page.getByText('is on offer').waitFor();
        });
        await look(`/wall#wall=${args.token}`, 360, (page) => page.getByText('2 pictures').waitFor());
        await look('/', 360, async (page) => {
          await page.getByLabel("follow the teacher's picture").check();
          await page.getByRole('button', { name: 'Start from it' }).waitFor();
          await page.getByText('you are watching').first().waitFor();
        });
        return found;""",
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


def test_who_follows_sees_the_spotlight_and_who_accepts_starts_from_the_seed(
    browser: Browser, server: ServerProcess
) -> None:
    browser.do(
        """for (const name of ['Ada', 'Bob', 'Zoë']) {
          const page = pages[name] = await openPage(args.address);
          await page.getByText('the class wall shows your picture').waitFor();
          await page.getByLabel('name on the wall').fill(name);
          await page.getByLabel('name on the wall').press('Enter');
        }
        const wall = pages.wall = await openPage(`${args.address}/wall#wall=${args.token}`);
        const spotlight = wall.getByRole('button', { name: 'spotlight: Ada' });
        const watching = (page, is) => page.waitForFunction(
          (is) => (document.querySelector('.readout p').textContent === 'you are watching') === is, is);
        const { Ada, Bob, Zoë } = pages;
        const follow = Bob.getByLabel("follow the teacher's picture");
        await follow.focus();
        await Bob.keyboard.press('Space');
        await Bob.getByText('Nothing is on the spotlight').waitFor();
        await spotlight.click();
        await watching(Bob, true);
        await Bob.waitForFunction(() => document.activeElement.id === 'follow');
        await Ada.getByText('Your picture is on the spotlight').waitFor();
        await watching(Zoë, false);
        await wall.getByText('3 pictures').waitFor(); // Bob's as well
        await Bob.keyboard.press('Space');
        await watching(Bob, false);
        await Bob.keyboard.press('Space');
        await watching(Bob, true);
        await spotlight.click();
        await watching(Bob, false);
        await spotlight.click();
        await watching(Bob, true);
        await wall.getByLabel('seed for everybody').fill('271828');
        await wall.getByLabel('seed for everybody').press('Enter');
        await wall.getByText('The seed 271828 is on offer').waitFor();
        await Bob.getByRole('button', { name: 'Start from it' }).click(); // while he watches
        await Zoë.getByRole('button', { name: 'Not now' }).click();
        const seed = (page, is) => page.waitForFunction(
          (is) => (document.querySelector('#seed').value === '271828') === is, is);
        await watching(Bob, false);
        await seed(Bob, true);
        await seed(Zoë, false);
        await seed(Ada, false);
        for (const page of [Bob, Zoë]) {
          await page.getByRole('button', { name: 'Start from it' }).waitFor({ state: 'hidden' });
        }
        await wall.getByRole('button', { name: 'Take back' }).click();
        await Ada.getByRole('button', { name: 'Start from it' }).waitFor({ state: 'hidden' });
        await Bob.getByLabel("follow the teacher's picture").check();
        await watching(Bob, true);
        await Ada.context().close();
        await Bob.getByText('the session on the spotlight is over').waitFor({ timeout: 100000 });
        await watching(Bob, false);
        await wall.getByText('The session on the spotlight is not on this wall any more').waitFor();
        await wall.getByRole('button', { name: 'Spotlight off' }).click();
        await wall.getByRole('button', { name: 'Spotlight off' }).waitFor({ state: 'hidden' });""",
        address=server.page,
        token=TOKEN,
    )
    assert browser.do("return problems") == []
    for name in ("Bob", "Zoë", "wall"):
        browser.do("await pages[args.name].context().close()", name=name)


def test_an_offer_waits_for_the_connection(browser: Browser, server: ServerProcess) -> None:
    browser.do(
        """pages.Ada = await openPage(args.address);
        const wall = await openPage(`${args.address}/wall#wall=${args.token}`);
        await wall.getByText('1 picture', { exact: true }).waitFor();
        await wall.getByRole('button', { name: 'Offer' }).click();
        await pages.Ada.getByRole('button', { name: 'Start from it' }).click({ trial: true });
        await wall.context().close();""",
        address=server.page,
        token=TOKEN,
    )
    server.process.kill()
    browser.do(
        """const page = pages.Ada;
        await page.waitForFunction(() => document.querySelector('.offer .primary').disabled);
        await page.getByRole('button', { name: 'Start from it' }).waitFor();
        await page.context().close();"""
    )


def test_the_wall_without_its_token_shows_nobody(browser: Browser, server: ServerProcess) -> None:
    browser.do(
        """const page = await openPage(`${args.address}/wall#wall=a-wrong-one`);
        await page.getByText('the wall has a token of its own').waitFor();
        await page.context().close();""",
        address=server.page,
    )
