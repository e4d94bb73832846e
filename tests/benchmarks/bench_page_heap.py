"""The page's heap in headless Chromium over some minutes, after forced garbage collections.

    python tests/benchmarks/bench_page_heap.py [--minutes 10]

The picture runs to noise and back all the while, with a stroke every few seconds. It needs Node.js, the
page's packages (`npm ci --prefix web_client`) and Chromium.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.benchmarks.environment import describe
from tests.tools import running_server
from tests.web_client.browser import running_browser

EVERY_MINUTES = 3
OPEN = """
const page = pages.page = await openPage(args.address);
pages.session = await page.context().newCDPSession(page);
await pages.session.send('Performance.enable');
await page.evaluate(() => {
  window.pictures = 0;
  const put = CanvasRenderingContext2D.prototype.putImageData;
  CanvasRenderingContext2D.prototype.putImageData = function (...given) {
    if (this.canvas.closest('.touched')) window.pictures += 1;
    return put.apply(this, given);
  };
});
"""
WORK = """
const page = pages.page;
await page.locator('.toggles').click();
const box = await page.locator('.touched canvas').boundingBox();
await page.mouse.move(box.x + box.width * 0.3, box.y + box.height * 0.4);
await page.mouse.down();
await page.mouse.move(box.x + box.width * 0.7, box.y + box.height * 0.6, { steps: 10 });
await page.mouse.up();
await page.waitForTimeout(3000);
"""
HEAP = """
for (let i = 0; i < 3; i++) await pages.session.send('HeapProfiler.collectGarbage');
const { metrics } = await pages.session.send('Performance.getMetrics');
const value = (name) => metrics.find((one) => one.name === name).value;
return {
  heap: value('JSHeapUsedSize') / 2 ** 20,
  nodes: value('Nodes'),
  listeners: value('JSEventListeners'),
  pictures: await pages.page.evaluate(() => window.pictures),
};
"""


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=int, default=10, help="how long the page runs (default: 10)")
    minutes = parser.parse_args().minutes
    print(describe())
    print()
    print("| minute | pictures so far | heap | nodes of the page | listeners |")
    print("| --- | --- | --- | --- | --- |")
    with running_server("--web-port", "0", "--capacity", "1000") as server, running_browser() as browser:
        browser.do(OPEN, address=server.page)
        began = time.monotonic()
        for minute in range(1, minutes + 1, EVERY_MINUTES):
            while time.monotonic() < began + 60 * minute:
                browser.do(WORK)
            now = browser.do(HEAP)
            heap = f"{now['heap']:.2f} MiB"
            print(
                f"| {minute} | {now['pictures']} | {heap} | {now['nodes']} | {now['listeners']} |", flush=True
            )


if __name__ == "__main__":
    main()
