"""A real HAProxy with the configuration that is shipped, in front of servers on this machine."""

from __future__ import annotations

import os
import re
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.tools import ROOT, free_port, require_tool, wait_for

CONFIGURATION = ROOT / "deploy" / "kubernetes" / "components" / "haproxy" / "haproxy.cfg"


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
    """HAProxy for the length of a block; its files are in the folder."""
    port, page_port = free_port(), free_port()
    text = CONFIGURATION.read_text().split("resolvers names\n    parse")[0]  # there is no name service here
    for variable, ports in (("SERVERS", server_ports), ("PAGE_SERVERS", page_ports)):
        servers = "\n".join(f"    server s{i} 127.0.0.1:{one}" for i, one in enumerate(ports))
        text = re.sub(rf"    server-template \S+ \S+ \$\{{{variable}\}}.*", servers, text)
    (folder / "haproxy.cfg").write_text(text)
    environment = {**os.environ, "BIND": f"127.0.0.1:{port}"}
    if page_ports:
        environment["PAGE_BIND"] = f"127.0.0.1:{page_port}"
    log_file = folder / "haproxy.log"
    with log_file.open("w") as log:
        process = subprocess.Popen(
            [require_tool("haproxy", "apt-get install haproxy"), "-f", str(folder / "haproxy.cfg")],
            env=environment, stdout=log, stderr=log,
        )  # fmt: skip
        try:
            wait_for(lambda: can_connect(port), "the balancer")
            yield Balancer(f"127.0.0.1:{port}", f"http://127.0.0.1:{page_port}", process.pid, log_file)
        finally:
            process.terminate()
            process.wait()
