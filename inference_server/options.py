"""The options of `python -m inference_server`: names, defaults, ranges and help."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from diffusion_toy.errors import InvalidValueError
from diffusion_toy.options import option
from diffusion_toy.predictors.base import PREDICTORS
from inference_server.ops.logs import FORMATS

MODELS = Path(__file__).parent / "models"
DEFAULT_MODELS = (MODELS / "mnist.safetensors", MODELS / "fashion-mnist.safetensors")
PREFIX = "DIFFUSION_TOY_"  # of the variable that each option has
RESUME_KEY_VARIABLE = f"{PREFIX}RESUME_KEY"
TOKEN_VARIABLE = f"{PREFIX}TOKEN"  # the viewer reads the same one
PORT_MAX = 65535

NETWORK, PEOPLE, PAGE = "the network", "how many, how fast, how long", "the page for browsers"
PROTECTION, OPERATION = "who may use it", "watching it"


@dataclass(frozen=True)
class ServerOptions:
    """How to serve."""

    host: str = option("127.0.0.1", "address or name to listen on; 0.0.0.0 for the whole network")
    port: int = option(50051, "TCP port to listen on; 0 takes a free one", low=0, high=PORT_MAX, metavar="N")
    models: tuple[Path, ...] = option(
        (),
        "a .safetensors model file; may be given several times, the first is the default model",
        flag="--model",
        metavar="FILE",
        told="those that come with the package, mnist and fashion-mnist",
    )
    models_dir: Path | None = option(
        None,
        "a folder: all .safetensors model files in it are served as well, in the order of their names",
        metavar="DIR",
    )

    device: str = option("auto", "where the network runs", choices=("auto", "cpu", "cuda"), group=NETWORK)
    predictor: str = option(
        "auto",
        "what runs the network; auto: OpenVINO on a CPU, PyTorch with CUDA graphs on a GPU; eager and "
        "compiled are PyTorch's; compiled takes minutes at the start and a C++ compiler",
        choices=PREDICTORS,
        group=NETWORK,
    )
    cache: Path | None = option(
        None,
        "folder that keeps what OpenVINO compiled, so that the next start is faster",
        flag="--cache-dir",
        metavar="DIR",
        told="in the user's folder for caches",
        group=NETWORK,
    )
    no_cache: bool = option(False, "compile at every start, and keep nothing", group=NETWORK)
    precision: str = option(
        "auto",
        "of the network's matrix products; auto: bfloat16 where the hardware multiplies it",
        choices=("auto", "float32", "bfloat16"),
        group=NETWORK,
    )
    fixed_batch: int = option(
        0,
        "always run batches of this size, so that a session's pictures do not depend, bit for bit, on who "
        "else is there; 0: of any size",
        low=0,
        high=1024,
        metavar="N",
        group=NETWORK,
    )
    threads: int = option(
        0, "CPU threads for the network; 0: one for each core", low=0, high=1024, metavar="N", group=NETWORK
    )

    max_sessions: int = option(
        64, "people served at a time, for each model", low=1, high=4096, metavar="N", group=PEOPLE
    )
    capacity: float = option(
        0.0,
        "network rows a second that are promised before newcomers are refused; a session takes its steps a "
        "second, twice that with guidance; 0: what the machine is measured to manage",
        low=0,
        high=1_000_000,
        metavar="N",
        group=PEOPLE,
    )
    tick_rate_hz: float = option(
        60.0,
        "fastest network steps a second",
        flag="--tick-rate",
        low=1,
        high=240,
        metavar="N",
        group=PEOPLE,
    )
    grace_s: float = option(
        30.0,
        "how long a lost viewer's session waits for it",
        flag="--grace",
        low=0,
        high=3600,
        unit="s",
        metavar="N",
        group=PEOPLE,
    )
    idle_s: float = option(
        1800.0,
        "how long a stream may be silent",
        flag="--idle",
        low=1,
        high=86400,
        unit="s",
        metavar="N",
        group=PEOPLE,
    )
    drain_s: float = option(
        2.0,
        "how long ending streams may take",
        flag="--drain",
        low=0,
        high=60,
        unit="s",
        metavar="N",
        group=PEOPLE,
    )
    streams_per_peer: int = option(
        256,
        "streams from one address at most, over gRPC and the page together",
        low=1,
        high=65536,
        metavar="N",
        group=PEOPLE,
    )
    new_streams_per_second: int = option(
        20,
        "from one address in the long run, 25 times as many at once; more where viewers come through a proxy",
        low=1,
        high=100_000,
        metavar="N",
        group=PEOPLE,
    )
    commands_per_second: int = option(
        500, "of one viewer in the long run", low=60, high=100_000, metavar="N", group=PEOPLE
    )
    resume_key_file: Path | None = option(
        None,
        "secret of 16 bytes or more by which servers know their resume tokens; servers that are to take over "
        f"each other's sessions share it; the variable {RESUME_KEY_VARIABLE} can hold the secret itself",
        metavar="FILE",
        told="made up, for this process alone",
        group=PEOPLE,
    )
    one_of_several: bool = option(
        False,
        "this is one of several servers behind a balancer: refuse to start without a shared resume key",
        group=PEOPLE,
    )

    web_port: int | None = option(
        None,
        "TCP port of the page; 0 takes a free one",
        low=0,
        high=PORT_MAX,
        metavar="N",
        told="no page",
        group=PAGE,
    )
    web_origins: tuple[str, ...] = option(
        (),
        "another site whose pages may use the server, as in https://example.org; may be given several times",
        flag="--web-origin",
        metavar="ORIGIN",
        group=PAGE,
    )
    web_host_names: tuple[str, ...] = option(
        (),
        "a further name under which browsers know this server; may be given several times",
        flag="--web-host-name",
        metavar="NAME",
        group=PAGE,
    )
    wall: bool = option(
        False,
        "everybody's picture small on one page, for who has its own link, which is printed to a terminal; "
        "people are told of it",
        group=PAGE,
    )
    wall_token_file: Path | None = option(
        None,
        "token of 16 characters or more that the wall's link has",
        metavar="FILE",
        told="made up",
        group=PAGE,
    )

    tls_cert: Path | None = option(None, "certificate chain, PEM", metavar="FILE", group=PROTECTION)
    tls_key: Path | None = option(None, "its private key, PEM", metavar="FILE", group=PROTECTION)
    token_file: Path | None = option(
        None,
        "bearer token of 16 characters or more that viewers must send; the variable "
        f"{TOKEN_VARIABLE} can hold the token itself",
        metavar="FILE",
        told="none",
        group=PROTECTION,
    )
    make_token: bool = option(
        False,
        "make up a bearer token for this run and print it, to a terminal only; the page's link has it",
        group=PROTECTION,
    )
    insecure: bool = option(
        False,
        "listen on a public address without TLS and token: everybody who can reach it can use it",
        group=PROTECTION,
    )

    trusted_proxies: str = option(
        "",
        "addresses and networks of the proxies in front, with commas between, as in 10.0.0.7,fd00::/8; whom "
        "their X-Forwarded-For names is the client",
        metavar="LIST",
        told="none",
        group=PROTECTION,
    )

    metrics_port: int | None = option(
        None,
        "port of the Prometheus metrics; 0 takes a free one",
        low=0,
        high=PORT_MAX,
        metavar="N",
        told="none",
        group=OPERATION,
    )
    metrics_host: str = option("127.0.0.1", "address of the Prometheus metrics", group=OPERATION)
    admin_port: int | None = option(
        None,
        "port of the administration service, on 127.0.0.1 only: list, end and move sessions, reload models, "
        "drain; whoever is on this machine can use it; 0 takes a free one",
        low=0,
        high=PORT_MAX,
        metavar="N",
        told="none",
        group=OPERATION,
    )
    traces: bool = option(
        False,
        "send short spans to an OpenTelemetry collector: load, start, resume, restore and drain; "
        "OTEL_EXPORTER_OTLP_ENDPOINT and its like say where; needs the extra `tracing`",
        group=OPERATION,
    )
    log_level: str = option(
        "info",
        "how much to log, to stderr",
        choices=("debug", "info", "warning", "error"),
        group=OPERATION,
    )
    log_format: str = option("text", "how log lines look", choices=FORMATS, group=OPERATION)

    @property
    def model_files(self) -> tuple[Path, ...]:
        """Return the files of the models to serve, the default model's first.

        Raises:
            InvalidValueError: `models_dir` is no folder, or may not be read.
        """
        folder: list[Path] = []
        if self.models_dir is not None:
            if not self.models_dir.is_dir():
                limit, remedy = "a folder that exists", "make it, or leave the flag out"
                raise InvalidValueError("--models-dir", self.models_dir, limit, remedy)
            try:
                folder = sorted(path for path in self.models_dir.iterdir() if path.suffix == ".safetensors")
            except OSError as error:
                reason, remedy = error.strerror or str(error), "let the server's user read it"
                raise InvalidValueError(
                    "--models-dir", self.models_dir, "what can be read", f"{reason.lower()}: {remedy}"
                ) from error
        return (*(self.models or DEFAULT_MODELS), *folder)
