"""The suite's policy: fixed seeds, one thread, and no skip that nobody expected.

A test whose outside tool is missing skips. Where every tool is promised
(DIFFUSION_TOY_REQUIRE_TOOLS=1, as on CI), such a skip fails the run; only what needs a GPU may.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import random
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

REQUIRE_TOOLS = "DIFFUSION_TOY_REQUIRE_TOOLS"
SEED = 0
# The networks here are tiny. With two threads beside a busy process each waits for the other's core: a test
# of a second then takes minutes. Servers that tests start inherit the variable.
THREADS = 1
os.environ.setdefault("OMP_NUM_THREADS", str(THREADS))

# How long an example takes says how busy the machine is, and nothing of what is tested.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

_skipped: list[str] = []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs a GPU where there is none."""
    marked = [item for item in items if item.get_closest_marker("gpu")]
    if not marked:
        return
    import torch

    if not torch.cuda.is_available():
        for item in marked:
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))


def pytest_runtest_setup() -> None:
    """Start every test from the same global state; torch's only where a test has imported it."""
    random.seed(SEED)
    np.random.seed(SEED)
    if torch := sys.modules.get("torch"):
        torch.manual_seed(SEED)
        torch.set_num_threads(THREADS)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """Remember whole files that were skipped."""
    if report.skipped:
        _skipped.append(report.nodeid)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Remember skips, other than those of tests that need a GPU or are expected to fail."""
    if report.skipped and "gpu" not in report.keywords and not hasattr(report, "wasxfail"):
        _skipped.append(report.nodeid)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run over an unexpected skip where all tools were promised."""
    if _skipped and os.environ.get(REQUIRE_TOOLS) == "1" and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say so."""
    if _skipped and os.environ.get(REQUIRE_TOOLS) == "1":
        terminalreporter.write_line(f"unexpected skips ({REQUIRE_TOOLS}=1): {', '.join(_skipped)}", red=True)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run tests that are coroutines in an event loop of their own."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in inspect.signature(pyfuncitem.obj).parameters}
    asyncio.run(pyfuncitem.obj(**arguments))
    return True
