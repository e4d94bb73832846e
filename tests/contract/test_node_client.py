"""The contract as a JavaScript client sees it that has nothing but the .proto file."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contract.node import node_modules, run_node
from tests.contract.report import check_session, check_unstarted
from tests.tools import ROOT, ServerProcess

PROTO = ROOT / "proto"


@pytest.fixture(scope="module")
def modules(pytestconfig: pytest.Config) -> Path:
    """The packages that the programs need; kept from run to run."""
    assert pytestconfig.cache is not None
    return node_modules(pytestconfig.cache.mkdir("node"))


def test_a_javascript_client_lives_through_a_session(contract_server: ServerProcess, modules: Path) -> None:
    check_session(run_node(modules, "client.js", contract_server.address, PROTO))


def test_a_javascript_client_is_told_that_it_must_start(
    contract_server: ServerProcess, modules: Path
) -> None:
    check_unstarted(run_node(modules, "client.js", contract_server.address, PROTO, "unstarted"))


def test_grpcs_health_client_for_node_understands_the_server(
    contract_server: ServerProcess, modules: Path
) -> None:
    states = run_node(modules, "health.js", contract_server.address, "diffusion_toy.v1.DenoiseService")
    assert states == {"server": "SERVING", "service": "SERVING", "unknown": "NOT_FOUND"}
