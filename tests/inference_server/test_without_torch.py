"""On a computer without a GPU the server never imports torch, and never calls anybody."""

from __future__ import annotations

import sys
from pathlib import Path

from diffusion_toy.contract import messages as m
from tests.client import Client
from tests.models import write_model
from tests.tools import ServerProcess

# The server itself, and what it has imported by its end.
PROGRAM = """
import sys
def watch(event, arguments):
    if event in ("socket.connect", "os.fork", "subprocess.Popen"):
        print("calls:", event, arguments, file=sys.stderr)
sys.addaudithook(watch)
from inference_server.__main__ import main
status = main(sys.argv[1:])
print("torch imported:", "torch" in sys.modules, file=sys.stderr)
print("traces imported:", "opentelemetry" in sys.modules, file=sys.stderr)
sys.exit(status)
"""


def test_a_cpu_server_serves_and_ends_without_torch(tmp_path: Path) -> None:
    model = write_model(tmp_path / "tiny.safetensors")
    flags = ["--model", str(model), "--device", "cpu", "--threads", "1", "--capacity", "1000"]
    server = ServerProcess(*flags, command=[sys.executable, "-c", PROGRAM])
    try:
        with Client(server.address) as client:
            client.send(m.Start(seed=1), sequence=0)
            welcome = client.read()
            assert isinstance(welcome, m.Welcome)
            assert "OpenVINO" in welcome.model.predictor
            client.send(m.Inject(m.Disc(0.5, 0.5, 0.3), 40.0, m.NoiseKind.SMOOTH))
            while True:
                frame = client.read()
                if isinstance(frame, m.Frame) and frame.applied_sequence >= 1:
                    break
    finally:
        status = server.stop()
    assert status == 0
    assert "torch imported: False\n" in server.log, server.log
    assert "traces imported: False\n" in server.log, server.log
    assert not [line for line in server.log if line.startswith("calls:")]
