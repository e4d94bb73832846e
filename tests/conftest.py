"""The suite's policy: where every tool is promised, a skip that nobody expected is a failure."""

from __future__ import annotations

import os

import pytest

REQUIRE_TOOLS = "DIFFUSION_TOY_REQUIRE_TOOLS"

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


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Remember skips, other than those of tests that need a GPU."""
    if report.skipped and "gpu" not in report.keywords:
        _skipped.append(report.nodeid)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run over an unexpected skip where all tools were promised."""
    if _skipped and os.environ.get(REQUIRE_TOOLS) == "1" and session.exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say so."""
    if _skipped and os.environ.get(REQUIRE_TOOLS) == "1":
        terminalreporter.write_line(f"unexpected skips ({REQUIRE_TOOLS}=1): {', '.join(_skipped)}", red=True)
