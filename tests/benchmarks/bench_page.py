"""The page in headless Chromium with software rendering: the first picture, a frame's cost, the heap.

    python tests/benchmarks/bench_page.py [--seconds 20]

It needs Node.js, the page's packages (`npm ci --prefix web_client`) and Chromium.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.benchmarks.environment import describe
from tests.tools import running_server
from tests.web_client.browser import Browser, running_browser

OPENINGS = 7
FIRST_PICTURE = """
const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
const page = await context.newPage();
await page.goto(args.address, { waitUntil: 'commit' });
const ms = await page.evaluate(() => new Promise((resolve) => {
  const look = () => {
    const seen = document.querySelector('.touched canvas')?.width === 28;
    if (seen) resolve(performance.now());
    else requestAnimationFrame(look);
  };
  look();
}));
await context.close();
return ms;
"""
RUN = """
const page = await openPage(args.address);
const session = await page.context().newCDPSession(page);
await session.send('Performance.enable', { timeDomain: 'threadTicks' });
const metrics = async () => {
  await session.send('HeapProfiler.collectGarbage');
  const { metrics } = await session.send('Performance.getMetrics');
  return Object.fromEntries(metrics.map(({ name, value }) => [name, value]));
};
await page.evaluate(() => {
  window.pictures = window.shown = 0;
  const count = () => {
    window.shown += 1;
    requestAnimationFrame(count);
  };
  count();
  const put = CanvasRenderingContext2D.prototype.putImageData;
  CanvasRenderingContext2D.prototype.putImageData = function (...given) {
    if (this.canvas.closest('.touched')) window.pictures += 1;
    return put.apply(this, given);
  };
});
await page.getByRole('button', { name: 'Run forward' }).click();
const turn = setInterval(() => page.locator('.toggles').click().catch(() => undefined), 3000);
await page.waitForTimeout(3000); // until the film and the compiler are warm
const before = await metrics();
const seen = () => page.evaluate(() => [window.pictures, window.shown]);
const first = await seen();
await page.waitForTimeout(args.seconds * 1000);
const after = await metrics();
const [pictures, frames] = (await seen()).map((count, i) => count - first[i]);
clearInterval(turn);
const spent = (name) => (1000 * (after[name] - before[name])) / frames;
await page.context().close();
return {
  pictures,
  frames,
  task: spent('TaskDuration'),
  script: spent('ScriptDuration'),
  layout: spent('LayoutDuration') + spent('RecalcStyleDuration'),
  heap: [before.JSHeapUsedSize / 2 ** 20, after.JSHeapUsedSize / 2 ** 20],
};
"""


def _first_picture_ms(browser: Browser, address: str) -> list[float]:
    return [float(browser.do(FIRST_PICTURE, address=address)) for _ in range(OPENINGS)]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=20.0, help="how long the page runs (default: 20)")
    seconds = parser.parse_args().seconds
    flags = ("--web-port", "0", "--capacity", "1000")
    with running_server(*flags) as server, running_browser() as browser:
        opened = _first_picture_ms(browser, server.page)
        run = browser.do(RUN, address=server.page, seconds=seconds)
    before, after = run["heap"]
    print(describe())
    print()
    print("| figure | value |")
    print("| --- | --- |")
    print(f"| first picture after the link, median of {OPENINGS} | {statistics.median(opened):.0f} ms |")
    print(f"| the slowest of them | {max(opened):.0f} ms |")
    print(f"| pictures drawn a second | {run['pictures'] / seconds:.0f} |")
    print(f"| frames of the screen a second | {run['frames'] / seconds:.0f} |")
    print(f"| main thread's CPU for a frame of the screen | {run['task']:.2f} ms |")
    print(f"| of which script | {run['script']:.2f} ms |")
    print(f"| of which style and layout | {run['layout']:.2f} ms |")
    print(f"| heap after garbage collection | {before:.1f} MiB, {seconds:g} s later {after:.1f} MiB |")


if __name__ == "__main__":
    main()
