"""Programs that know gRPC and nothing of this repository: they learn the contract by reflection."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc

from tests.contract.report import IMAGE_BYTES, check_session, check_unstarted
from tests.tools import ServerProcess, require_tool

HERE = Path(__file__).resolve().parent
SERVICE = "diffusion_toy.v1.DenoiseService"


def reflect(address: str, *arguments: str) -> dict[str, Any]:
    """Run the client made from reflection, away from the repository; its report."""
    command = [sys.executable, "-I", HERE / "reflection_client.py", address, *arguments]
    done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    assert found["service"] == SERVICE
    return found


def buf_curl(address: str, method: str, *flags: str) -> list[str]:
    """`buf curl`, gRPC's curl, calling a method that it knows by reflection alone."""
    buf = require_tool("buf", "npm install -g @bufbuild/buf")
    options = ["--protocol", "grpc", "--http2-prior-knowledge", "--emit-defaults"]
    return [buf, "curl", *options, *flags, f"http://{address}/{method}"]


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd="/", capture_output=True, text=True, timeout=60)


def documents(process: subprocess.Popen[str]) -> Iterator[dict[str, Any]]:
    """The JSON documents that a program prints one after the other, as they come."""
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line)
        if line == "}\n":
            yield json.loads("".join(lines))
            lines.clear()


def test_a_client_made_from_reflection_lives_through_a_session(contract_server: ServerProcess) -> None:
    check_session(reflect(contract_server.address))


def test_a_client_made_from_reflection_is_told_that_it_must_start(contract_server: ServerProcess) -> None:
    check_unstarted(reflect(contract_server.address, "unstarted"))


def test_buf_curl_probes_the_health(contract_server: ServerProcess) -> None:
    for request in ("{}", json.dumps({"service": SERVICE})):
        done = run(buf_curl(contract_server.address, "grpc.health.v1.Health/Check", "--data", request))
        assert json.loads(done.stdout) == {"status": "SERVING"}, done.stderr


def test_buf_curl_lists_services_and_models(contract_server: ServerProcess) -> None:
    done = run(buf_curl(contract_server.address, "", "--list-services"))
    assert {SERVICE, "grpc.health.v1.Health"} <= set(done.stdout.split()), done.stderr
    done = run(buf_curl(contract_server.address, f"{SERVICE}/ListModels"))
    (model,) = json.loads(done.stdout)["models"]
    assert (model["name"], model["width"], len(model["labelNames"])) == ("tiny", 28, 10)


def test_buf_curl_is_told_what_is_wrong_with_a_start(contract_server: ServerProcess) -> None:
    start = json.dumps({"sequence": 1, "start": {"settings": {"guidance": 99}}})
    done = run(buf_curl(contract_server.address, f"{SERVICE}/Denoise", "--data", start))
    assert done.returncode == grpc.StatusCode.INVALID_ARGUMENT.value[0] << 3  # buf's rule for its status
    assert "guidance" in done.stderr
    assert "0…8" in done.stderr


def test_buf_curl_lives_through_a_session(contract_server: ServerProcess) -> None:
    command = buf_curl(contract_server.address, f"{SERVICE}/Denoise", "--data", "@-")
    process = subprocess.Popen(command, cwd="/", stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdin is not None

        def send(**request: Any) -> None:
            assert process.stdin is not None
            print(json.dumps(request), file=process.stdin, flush=True)

        send(sequence=1, start={"window": 1, "seed": "5"})
        responses = documents(process)
        assert next(responses)["welcome"]["seed"] == "5"
        applied = 0
        for response in responses:
            if "frame" not in response:
                continue
            frame = response["frame"]
            assert len(base64.b64decode(frame["xT"])) == IMAGE_BYTES
            send(acknowledge={"frameNumber": frame["number"]})
            applied = max(applied, int(frame["appliedSequence"]))
            if frame["number"] == "1":
                send(sequence=2, inject={"wholeImage": {}, "amount": 5})
            elif applied == 2:
                break
        process.stdin.close()
        for _ in responses:
            pass
    assert applied == 2
    assert process.returncode == 0
