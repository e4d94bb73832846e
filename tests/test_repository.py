"""Promises of the repository itself: import rules, fresh stubs, proto lint, sizes."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health, health_pb2_grpc
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from inference_server.ops import healthcheck
from tests.tools import ROOT, require_tool

FILE_BYTES_MAX = 8_000_000


def test_import_rules_hold() -> None:
    program = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([program, "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_committed_stubs_are_what_the_proto_generates(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "proto" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.generate(tmp_path)
    fresh = {p.relative_to(tmp_path): p.read_text() for p in tmp_path.rglob("*.py*")}
    assert fresh, "nothing was generated"
    for path, text in fresh.items():
        assert (ROOT / path).read_text() == text, f"{path} is stale; run: make proto"


def test_the_proto_passes_buf_lint() -> None:
    buf = require_tool("buf", "npm install -g @bufbuild/buf")
    done = subprocess.run([buf, "lint", "proto"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_viewer_imports_without_torch() -> None:
    code = (
        "import sys\n"
        "for name in ('torch', 'torchvision', 'safetensors'): sys.modules[name] = None\n"
        "import viewer_client.window.app, viewer_client.files.recorder, viewer_client.play\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("module", ["inference_server", "viewer_client", "training"])
def test_every_command_explains_itself(module: str) -> None:
    done = subprocess.run([sys.executable, "-m", module, "--help"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "usage: python -m" in done.stdout


def _tracked_files() -> list[Path]:
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        pytest.skip("this is not a git checkout")
    return [ROOT / name for name in done.stdout.split("\0") if name]


def test_no_file_is_too_large() -> None:
    large = [p.name for p in _tracked_files() if p.exists() and p.stat().st_size > FILE_BYTES_MAX]
    assert not large


def _declared() -> dict[str, Requirement]:
    """Every dependency in pyproject.toml, by its normalised name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    texts = [*project["dependencies"], *(d for e in project["optional-dependencies"].values() for d in e)]
    return {canonicalize_name(requirement.name): requirement for requirement in map(Requirement, texts)}


def test_every_declared_dependency_is_pinned_to_a_version_that_fits() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = {canonicalize_name(line.split("==")[0]): line.split("==")[1] for line in lines if "==" in line}
    wrong = [str(r) for name, r in _declared().items() if not r.specifier.contains(pins.get(name, "0"))]
    assert not wrong


def test_the_declared_runtimes_are_those_the_stubs_ask_for() -> None:
    messages = (ROOT / "diffusion_toy" / "v1" / "denoise_pb2.py").read_text()
    services = (ROOT / "diffusion_toy" / "v1" / "denoise_pb2_grpc.py").read_text()
    messages_version = re.search(r"^# Protobuf Python Version: (\S+)$", messages, re.MULTILINE)
    services_version = re.search(r"^GRPC_GENERATED_VERSION = '(\S+)'$", services, re.MULTILINE)
    assert messages_version is not None
    assert services_version is not None
    assert str(_declared()["protobuf"].specifier) == f">={messages_version[1]}"
    assert str(_declared()["grpcio"].specifier) == f">={services_version[1]}"


def test_the_readmes_commands_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    used = set(re.findall(r"^\s*make ([a-z]+)", (ROOT / "README.md").read_text(), re.MULTILINE))
    assert {"play", "test"} <= used <= targets


def test_the_containers_health_check_tells_a_serving_server_from_others() -> None:
    servicer = health.HealthServicer()
    server = grpc.server(ThreadPoolExecutor(1))
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        assert healthcheck.main([address]) == 0
        servicer.enter_graceful_shutdown()
        assert healthcheck.main([address]) == 1
    finally:
        server.stop(None).wait()
    assert healthcheck.main([address]) == 1


def test_every_test_that_a_document_names_exists() -> None:
    named = 0
    for document in (ROOT / "docs").glob("*.md"):
        file = ""
        for path, test in re.findall(r"`(tests/[\w/]+\.py)?(?:::(\w+))?`", document.read_text()):
            file = path or file
            text = (ROOT / file).read_text() if file else ""
            assert not test or f"def {test}(" in text, f"{document.name}: {file}::{test}"
            named += bool(path or test)
    assert named > 10
