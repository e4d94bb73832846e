"""The server as a process: how it starts, what it refuses, how it ends."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import grpc
import pytest

from diffusion_toy.contract import messages as m
from diffusion_toy.v1 import denoise_pb2 as pb
from diffusion_toy.v1 import denoise_pb2_grpc as pb_grpc
from tests.client import Client
from tests.inference_server.transport.test_addresses import has_ipv6
from tests.inference_server.transport.test_security import certificate
from tests.models import write_model
from tests.tools import ROOT, ServerProcess, free_port, running_server


def run(*flags: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "inference_server", *map(str, flags)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)


def test_sigterm_ends_streams_and_process_cleanly(tmp_path: Path) -> None:
    server = ServerProcess("--model", str(write_model(tmp_path / "m.safetensors")))
    with Client(server.address) as client:
        client.start()
        client.frame()
        server.process.send_signal(signal.SIGTERM)
        code, text = client.status()
        assert code is grpc.StatusCode.UNAVAILABLE
        assert "shutting down" in text
    assert server.stop() == 0
    assert not server.says("Traceback"), "".join(server.log)


def test_an_idle_server_ends_cleanly_as_well(tmp_path: Path) -> None:
    server = ServerProcess("--model", str(write_model(tmp_path / "m.safetensors")))
    assert server.stop() == 0


@pytest.mark.parametrize(("capacity", "seats", "admitted"), [(150, 8, 2), (1_000_000, 3, 3)])
def test_it_admits_as_many_as_it_has_said(tmp_path: Path, capacity: int, seats: int, admitted: int) -> None:
    model = str(write_model(tmp_path / "m.safetensors"))
    flags = ("--capacity", str(capacity), "--max-sessions", str(seats))
    with running_server("--model", model, *flags) as server, contextlib.ExitStack() as stack:
        assert server.says(f"admits {admitted} sessions")
        for _ in range(admitted):
            stack.enter_context(Client(server.address)).start()
        with Client(server.address) as late:
            late.send(m.Start())
            code, text = late.status()
            assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert f"it serves {admitted} sessions" in text


def test_it_listens_on_loopback_unless_told_otherwise(tmp_path: Path) -> None:
    with running_server("--model", str(write_model(tmp_path / "m.safetensors"))) as server:
        assert server.address.startswith("127.0.0.1:")


def test_a_port_in_use_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run("--port", port)
    assert done.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}" in done.stderr
    assert "--port 0" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("host", "written"), [("127.1", "127.0.0.1"), ("localhost", "localhost")])
def test_an_address_may_be_written_in_any_way(tmp_path: Path, host: str, written: str) -> None:
    with running_server("--model", str(write_model(tmp_path / "m.safetensors")), "--host", host) as server:
        assert server.address == f"{written}:{server.port}"
        with Client(server.address) as client:
            client.start()
            client.frame()


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
def test_the_metrics_address_may_have_brackets(tmp_path: Path) -> None:
    port, model = free_port(), write_model(tmp_path / "m.safetensors")
    with running_server("--model", str(model), "--metrics-host", "[::1]", "--metrics-port", str(port)):
        socket.create_connection(("::1", port)).close()


def test_the_limit_of_open_files_is_raised_where_it_may_be(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    model = str(write_model(tmp_path / "m.safetensors"))
    for limits, warned in (((256, hard), False), ((256, 256), True)):
        shell = (
            f"ulimit -Sn {limits[0]}; ulimit -Hn {limits[1]}; exec {sys.executable} -m inference_server $@"
        )
        with running_server(
            "--model", model, command=["bash", "-c", shell.replace("$@", '"$@"'), "-"]
        ) as server:
            told = server.says("this process may open 256 files")
            in_force = Path(f"/proc/{server.process.pid}/limits").read_text().splitlines()
            soft = [line.split()[3] for line in in_force if line.startswith("Max open files")]
        assert told is warned
        assert (soft != ["256"]) is not warned


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--port", "99999"], "--port 99999 is outside 0…65535"),
        (["--max-sessions", "0"], "--max-sessions 0 is outside 1…4096"),
        (["--tick-rate", "nan"], "--tick-rate nan is outside 1…240"),
        (["--port", "0", "--model", "nowhere.safetensors"], "nowhere.safetensors does not exist"),
        (["--port", "0", "--model", "README.md"], "damaged"),
        (["--port", "0", "--models-dir", "nowhere"], "--models-dir nowhere is outside a folder that exists"),
        (["--port", "0", "--host", "256.1.1.1"], "cannot listen on 256.1.1.1"),
        (["--port", "0", "--web-port", "0", "--web-origin", "box"], "--web-origin box is outside an origin"),
        (["--port", "0", "--make-token"], "--make-token prints the token to a terminal, and there is none"),
    ],
)
def test_a_bad_flag_ends_with_one_sentence(flags: list[str], said: str) -> None:
    done = run(*flags)
    assert done.returncode in (1, 2)
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert "serving" not in done.stdout


def test_a_folder_of_models_is_served_beside_the_first(tmp_path: Path) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    write_model(folder / "b.safetensors")
    write_model(folder / "a.safetensors")
    (folder / "notes.txt").write_text("not a model")
    flags = ["--model", str(write_model(tmp_path / "first.safetensors")), "--models-dir", str(folder)]
    with running_server(*flags) as server, grpc.insecure_channel(server.address) as channel:
        listed = pb_grpc.DenoiseServiceStub(channel).ListModels(pb.ListModelsRequest(), timeout=10)
    assert [model.name for model in listed.models] == ["first", "a", "b"]


def test_the_shipped_models_are_served_and_draw() -> None:
    with running_server() as server, grpc.insecure_channel(server.address) as channel:
        listed = pb_grpc.DenoiseServiceStub(channel).ListModels(pb.ListModelsRequest(), timeout=10)
        assert [(model.name, model.dataset) for model in listed.models] == [
            ("mnist", "mnist"), ("fashion-mnist", "fashion-mnist"),
        ]  # fmt: skip
        assert listed.models[1].label_names[9] == "ankle boot"
        assert all(model.has_examples for model in listed.models)
        for model in listed.models:
            with Client(server.address) as client:
                settings = m.SettingsChange(stride=30, label=9)
                assert client.start(m.Start(model=model.name, settings=settings)).model.name == model.name
                last = client.frame(lambda frame: frame.time_step.max == 0)
                assert 0.02 < float((last.x0_hat > 0).mean()) < 0.6  # neither paper nor ink alone


def test_the_health_check_works_with_tls_too(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path, "server")
    model = write_model(tmp_path / "m.safetensors")
    flags = ["--model", str(model), "--tls-cert", str(cert), "--tls-key", str(key)]
    with running_server(*flags) as server:
        command = [sys.executable, "-m", "inference_server.ops.healthcheck", server.address]
        for environment, status in (({"DIFFUSION_TOY_TLS_CERT": str(cert)}, 0), ({}, 1)):
            done = subprocess.run(command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True)
            assert done.returncode == status, done.stderr
