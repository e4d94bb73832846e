"""Branches and the twin in a real browser, against a real server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.inference_server.faults import gauges
from tests.models import write_model
from tests.tools import ServerProcess, free_port, running_server, wait_for
from tests.web_client.browser import Browser, running_browser

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]
FLAGS = ("--threads", "1", "--capacity", "1000", "--fixed-batch", "2", "--precision", "float32")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def metrics_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def server(
    browser: Browser, metrics_port: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerProcess]:
    model = write_model(tmp_path_factory.mktemp("model") / "tiny.safetensors")
    ports = ("--web-port", "0", "--metrics-port", str(metrics_port), "--grace", "1")
    with running_server("--model", str(model), *ports, *FLAGS) as server:
        yield server


def _is_alone(metrics_port: int) -> None:
    """The page's own session is the only one, once those of earlier pages are over."""
    wait_for(lambda: gauges(metrics_port)["sessions"] == 1, "the sessions of the comparison to end")


def _open(browser: Browser, server: ServerProcess, **options: object) -> None:
    """A page that runs, far from its end."""
    browser.do(
        """const page = pages.page = await openPage(args.address, { bypassCSP: true, ...args.options });
        await page.waitForFunction(() => Number(document.querySelector('.figures b').textContent) > 0);
        await page.keyboard.press('r');
        await page.waitForFunction(() => Number(document.querySelector('.figures b').textContent) > 200);""",
        address=server.page,
        options=options,
    )


def _close(browser: Browser) -> None:
    browser.do("await pages.page.context().close()")
    assert browser.do("return problems") == []


# what axe finds, and what is too small for a finger or beyond the page
FINDINGS = """
const page = pages.page;
await page.addScriptTag({ path: require.resolve('axe-core/axe.min.js') });
const { violations } = await page.evaluate(() => axe.run());
const odd = await page.evaluate(() => [...document.querySelectorAll('.comparison button, .comparison select')]
  .filter((one) => {
    const { width, height, right } = one.getBoundingClientRect();
    return height < 44 || width < 44 || right > innerWidth;
  }).map((one) => one.outerHTML.slice(0, 120)));
const where = (one) => one.nodes.map((node) => node.html).join(' ').slice(0, 300);
return [...violations.map((one) => `${one.id}: ${where(one)}`), ...odd];
"""


@pytest.mark.parametrize("size", [(1280, 800), (700, 900)])
def test_a_twin_differs_in_nothing_until_a_stroke_and_then_in_the_kind_of_noise(
    browser: Browser, server: ServerProcess, metrics_port: int, size: tuple[int, int]
) -> None:
    _open(browser, server, viewport={"width": size[0], "height": size[1]}, colorScheme="light")
    seen = browser.do(
        """const page = pages.page;
        await page.keyboard.press('j');
        const twin = page.getByRole('dialog', { name: 'a twin that differs in one thing' });
        const texts = () => twin.locator('figcaption b').allTextContents();
        await twin.getByText('no difference yet').first().waitFor();
        await page.waitForFunction(() => document.querySelector('.twins b').textContent.startsWith('t 24'));
        const before = await twin.locator('.twins p b').textContent();
        const box = await twin.getByRole('application').boundingBox();
        await page.mouse.move(box.x + box.width * 0.3, box.y + box.height * 0.5);
        await page.mouse.down();
        await page.mouse.move(box.x + box.width * 0.7, box.y + box.height * 0.6, { steps: 8 });
        await page.mouse.up();
        await page.waitForFunction(() => document.querySelector('.twins p b').textContent !== '0.00');
        await page.keyboard.press(' ');
        await twin.getByRole('button', { name: 'Play' }).waitFor();
        const [own, other] = await texts();
        const sentence = await twin.locator('.twins .sentence').textContent();
        return [before, own === other, sentence];"""
    )
    assert seen[:2] == ["0.00", True]
    assert "difference" not in seen[2]
    assert "in time" not in seen[2]
    assert browser.do(FINDINGS) == []
    browser.do(
        """const page = pages.page;
        await page.getByRole('button', { name: 'sampler', exact: true }).click();
        await page.getByText('twin · DDIM').waitFor();
        await page.getByLabel('the twin has').selectOption('DPM-Solver++');
        await page.getByText('twin · DPM-Solver++').waitFor();
        await page.getByText('as it is · DDPM').waitFor();
        await page.keyboard.press('7');
        await page.getByRole('button', { name: 'class', exact: true }).click();
        await page.getByText('twin · class 7').waitFor();
        await page.keyboard.press('Escape');
        await page.locator('dialog[open]').waitFor({ state: 'detached' });
        await page.waitForFunction(() => document.querySelector('.notice').hidden);"""
    )
    _is_alone(metrics_port)
    _close(browser)


def test_eight_ways_on_from_a_moment_of_which_one_is_chosen(
    browser: Browser, server: ServerProcess, metrics_port: int
) -> None:
    _open(browser, server, locale="en", permissions=["clipboard-read", "clipboard-write"])
    seed = browser.do(
        """const page = pages.page;
        await page.getByLabel('stride').selectOption('10 time steps');
        await page.getByRole('button', { name: 'Restart', exact: true }).click();
        await page.getByRole('button', { name: 'several ways on from this moment' }).click();
        await page.getByText('8 ways on from').waitFor();
        await page.waitForFunction(() =>
          / alike | are the same/.test(document.querySelector('.outcome').textContent));
        await page.getByRole('button', { name: 'noisy pictures' }).click();
        return page.evaluate(() => document.querySelector('#seed').value);"""
    )
    assert browser.do(FINDINGS) == []
    browser.do(
        """const page = pages.page;
        const third = page.locator('.way').nth(2);
        const seed = `${BigInt(args.seed) + 3n}`;
        await third.getByText(seed).waitFor();
        await third.click();
        await page.getByText(`you go on with the branch of seed ${seed}`).waitFor();
        await page.waitForFunction((seed) => document.querySelector('#seed').value === seed, seed);
        await page.getByLabel('Share', { exact: true }).click();
        await page.getByText('Link that replays this').click();
        await page.getByText('this session goes on from another one').waitFor();
        await page.keyboard.press('b');
        await page.getByText('the picture is finished, so there is only one way on').waitFor();""",
        seed=seed,
    )
    _is_alone(metrics_port)
    _close(browser)


def test_branches_that_are_closed_leave_the_session_as_it_was(
    browser: Browser, server: ServerProcess, metrics_port: int
) -> None:
    _open(browser, server, locale="de")
    browser.do(
        """const page = pages.page;
        await page.keyboard.press('b');
        await page.getByText('8 Wege ab').waitFor();
        await page.keyboard.press('b');
        await page.locator('dialog[open]').waitFor({ state: 'detached' });
        await page.getByText('angehalten', { exact: true }).waitFor({ state: 'detached' });"""
    )
    _is_alone(metrics_port)
    _close(browser)


def test_a_page_that_is_reloaded_with_its_branches_open_plays_on(browser: Browser, tmp_path: Path) -> None:
    model = write_model(tmp_path / "tiny.safetensors")
    with running_server("--model", str(model), "--web-port", "0", *FLAGS) as patient:
        _open(browser, patient)
        seeds = browser.do(
            """const page = pages.page;
            await page.keyboard.press('b');
            await page.getByText('8 ways on from').waitFor();
            const seed = () => page.evaluate(() => document.querySelector('#seed').value);
            const before = await seed();
            await page.reload();
            await page.waitForFunction(() => document.querySelector('.figures b').textContent === '0');
            return [before, await seed()];"""
        )
        _close(browser)
    assert seeds[0] == seeds[1]


def test_a_narrow_screen_has_neither(browser: Browser, server: ServerProcess) -> None:
    _open(browser, server, viewport={"width": 360, "height": 640})
    shown = browser.do(
        """const page = pages.page;
        await page.keyboard.press('j');
        await page.keyboard.press('b');
        await page.waitForTimeout(300);
        return [
          await page.locator('.compare').isVisible(), await page.locator('dialog[open]').count(),
        ];"""
    )
    assert shown == [False, 0]
    _close(browser)
