"""A real HAProxy with the configuration that is shipped, in front of servers on this machine."""

from __future__ import annotations

import os
import re
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.deploy.pods import GRPC, WEB, Ports
from tests.tools import HANGS_S, ROOT, free_port, require_tool, wait_for

CONFIGURATION = ROOT / "deploy" / "kubernetes" / "components" / "haproxy" / "haproxy.cfg"
PLACES = 16  # for servers, as in the configuration
BACKENDS = (("servers", GRPC), ("page-servers", WEB))


@dataclass(frozen=True)
class Balancer:
    """One that runs: where viewers and browsers reach it, its process, the file with what it says."""

    address: str
    page: str
    process_id: int
    log_file: Path

    def log(self) -> str:
        """What it has said."""
        return self.log_file.read_text()


def can_connect(port: int) -> bool:
    """Whether somebody listens there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def running_balancer(
    folder: Path, server_ports: Sequence[int], page_ports: Sequence[int] = ()
) -> Iterator[Balancer]:
    """HAProxy in front of servers at these ports, for the length of a block; its files are in the folder."""
    text = configured({"SERVERS": server_ports, "PAGE_SERVERS": page_ports})
    with running_haproxy(folder, text, page=bool(page_ports)) as balancer:
        yield balancer


@contextmanager
def running_pod_balancer(folder: Path) -> Iterator[tuple[Balancer, Callable[[Sequence[Ports]], None]]]:
    """HAProxy in front of pods that come and go, for the length of a block, and what tells it of them.

    In a cluster it finds the pods that are ready in the DNS. There is none here, so its runtime API puts them
    into the same places: one that is there no more is in maintenance.
    """
    control = free_port()
    text = configured({"SERVERS": [1] * PLACES, "PAGE_SERVERS": [1] * PLACES}, " disabled")
    text = text.replace("\nglobal\n", f"\nglobal\n    stats socket ipv4@127.0.0.1:{control} level admin\n")
    places: list[Ports | None] = [None] * PLACES

    def publish(ready: Sequence[Ports]) -> None:
        for place, there in enumerate(places):
            if there is not None and there not in ready:
                places[place] = None
                for backend, _ in BACKENDS:
                    tell(control, f"set server {backend}/s{place} state maint")
        for ports in ready:
            if ports not in places:
                place = places.index(None)
                places[place] = ports
                for backend, port in BACKENDS:
                    tell(control, f"set server {backend}/s{place} addr 127.0.0.1 port {ports[port]}")
                    tell(control, f"set server {backend}/s{place} state ready")

    with running_haproxy(folder, text, page=True) as balancer:
        yield balancer, publish


def configured(places: Mapping[str, Sequence[int]], state: str = "") -> str:
    """Return the shipped configuration with servers of this machine, by the variable that names them."""
    text = CONFIGURATION.read_text().split("resolvers names\n    parse")[0]  # there is no name service here
    for variable, ports in places.items():
        servers = "\n".join(f"    server s{i} 127.0.0.1:{one}{state}" for i, one in enumerate(ports))
        text = re.sub(rf"    server-template \S+ \S+ \$\{{{variable}\}}.*", servers, text)
    return text


def tell(port: int, command: str) -> None:
    """Send a command to HAProxy's runtime API."""
    with socket.create_connection(("127.0.0.1", port), timeout=HANGS_S) as connection:
        connection.sendall(f"{command}\n".encode())
        answer = connection.makefile().read().strip()
    assert not answer or "changed" in answer or "no need to change" in answer, f"{command}: {answer}"


@contextmanager
def running_haproxy(folder: Path, text: str, *, page: bool) -> Iterator[Balancer]:
    """HAProxy with this configuration for the length of a block."""
    port, page_port = free_port(), free_port()
    (folder / "haproxy.cfg").write_text(text)
    environment = {**os.environ, "BIND": f"127.0.0.1:{port}"}
    if page:
        environment["PAGE_BIND"] = f"127.0.0.1:{page_port}"
    log_file = folder / "haproxy.log"
    with log_file.open("w") as log:
        process = subprocess.Popen(
            [require_tool("haproxy", "apt-get install haproxy"), "-f", str(folder / "haproxy.cfg")],
            env=environment, stdout=log, stderr=log,
        )  # fmt: skip
        try:
            wait_for(lambda: process.poll() is not None or can_connect(port), "the balancer")
            assert process.poll() is None, log_file.read_text()
            yield Balancer(f"127.0.0.1:{port}", f"http://127.0.0.1:{page_port}", process.pid, log_file)
        finally:
            process.terminate()
            process.wait()
