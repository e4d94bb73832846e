"""The wheel and the source archive: what is in them, and that each way of installing works."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

from tests.models import write_model
from tests.tools import ROOT, running_server

PACKAGES = {"diffusion_toy", "inference_server", "viewer_client", "training", "web_client"}
WEIGHTS = {
    f"{folder}/{dataset}.safetensors"
    for folder in ("inference_server/models", "training/classifiers")
    for dataset in ("mnist", "fashion-mnist")
} | {f"inference_server/models/mnist-{kind}.safetensors" for kind in ("distilled", "fast")}
SCRIPTS = ("diffusion-toy-server", "diffusion-toy-viewer", "diffusion-toy-train")
VIEWER_MIB_MAX = 175  # beyond an empty environment; 18 of them are the shipped networks
SERVER_MIB_MAX = 450  # viewer and CPU server together, likewise
MADE_ANEW = ("RECORD", "WHEEL")  # name the archive that they are in


def run(*command: object, cwd: Path, without: str = "") -> str:
    environment = {key: value for key, value in os.environ.items() if key not in (without, "PYTHONPATH")}
    done = subprocess.run(
        [*map(str, command)], cwd=cwd, env=environment, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def build(source: Path, out: Path, *kinds: str) -> None:
    run(sys.executable, "-m", "build", "--no-isolation", *kinds, "--outdir", out, source, cwd=source)


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the source archive of what git knows of this tree."""
    folder = tmp_path_factory.mktemp("archives")
    source = folder / "source"
    listed = run("git", "ls-files", "--cached", "--others", "--exclude-standard", cwd=ROOT).splitlines()
    for name in listed:
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, source / name)
    build(source, folder, "--wheel", "--sdist")
    return folder


@pytest.fixture(scope="module")
def wheel(archives: Path) -> Path:
    (path,) = archives.glob("*.whl")
    return path


def contents(wheel: Path) -> dict[str, str]:
    """The digest of each file in a wheel but those that name it."""
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if not name.endswith(MADE_ANEW)]
        return {name: hashlib.sha256(archive.read(name)).hexdigest() for name in names}


def test_the_wheel_holds_the_packages_their_weights_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        sizes = {entry.filename: entry.file_size for entry in archive.infolist()}
        entry_points = next(name for name in sizes if name.endswith("entry_points.txt"))
        assert all(script in archive.read(entry_points).decode() for script in SCRIPTS)
    tops = {name.partition("/")[0] for name in sizes}
    assert {top for top in tops if not top.endswith(".dist-info")} == PACKAGES
    assert {name for name, size in sizes.items() if size > 300_000} == WEIGHTS
    assert {Path(name).suffix for name in sizes if ".dist-info/" not in name} == {
        ".py", ".pyi", ".typed", ".safetensors", ".json", ".html", ".js", ".css", ".svg",
    }  # fmt: skip
    paths = [path.relative_to(ROOT) for top in PACKAGES for path in (ROOT / top).rglob("*.py")]
    in_tree = {str(path) for path in paths if "node_modules" not in path.parts}
    assert in_tree == {name for name in sizes if name.endswith(".py")}


def test_the_source_archive_makes_the_same_wheel(archives: Path, wheel: Path, tmp_path: Path) -> None:
    (path,) = archives.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        archive.extractall(tmp_path, filter="data")
    (source,) = (entry for entry in tmp_path.iterdir() if entry.is_dir())
    build(source, tmp_path, "--wheel")
    (again,) = tmp_path.glob("*.whl")
    assert contents(again) == contents(wheel)


class Environment:
    """A Python environment without anything of this one."""

    def __init__(self, folder: Path, wheel: Path) -> None:
        self._folder, self._wheel = folder, wheel
        venv.create(folder, with_pip=True)
        self._empty = self._size()

    def _size(self) -> int:
        return sum(path.stat().st_size for path in self._folder.rglob("*") if path.is_file())

    @property
    def grown_mib(self) -> float:
        """Beyond the empty environment."""
        return (self._size() - self._empty) / 2**20

    def install(self, extra: str) -> None:
        self(
            "python", "-m", "pip", "install", "-q", "-c", ROOT / "constraints.txt", f"{self._wheel}[{extra}]"
        )

    def has(self, module: str) -> bool:
        found = self(
            "python", "-c", f"import importlib.util as u; print(u.find_spec({module!r}) is not None)"
        )
        return found.strip() == "True"

    def __call__(self, command: str, *words: object) -> str:
        """Run one of its programs, away from the source tree."""
        return run(self._folder / "bin" / command, *words, cwd=self._folder, without="DIFFUSION_TOY_SERVER")


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_each_way_of_installing_brings_what_it_needs_and_no_more(wheel: Path, tmp_path: Path) -> None:
    environment = Environment(tmp_path / "clean", wheel)

    environment.install("viewer")
    print(f"viewer: {environment.grown_mib:.0f} MiB")
    assert environment.grown_mib <= VIEWER_MIB_MAX
    assert not environment.has("torch")
    assert environment("diffusion-toy-viewer", "--version").strip()
    model = write_model(tmp_path / "tiny.safetensors")
    with running_server("--model", str(model), "--threads", "1") as server:
        listed = environment("diffusion-toy-viewer", "--server", server.address, "--list-models")
        assert listed.startswith("tiny ")
        gif = tmp_path / "session.gif"
        words = ("--server", server.address, "--headless", "--record", gif, "--seconds", "4")
        environment("diffusion-toy-viewer", *words)
        assert gif.read_bytes().startswith(b"GIF89a")

    environment.install("server")
    print(f"with the server: {environment.grown_mib:.0f} MiB")
    assert not environment.has("torch")
    assert environment.grown_mib <= SERVER_MIB_MAX
    command = [str(tmp_path / "clean" / "bin" / "diffusion-toy-server")]
    with running_server(command=command) as server:  # with the weights of the wheel
        listed = environment("diffusion-toy-viewer", "--server", server.address, "--list-models")
        assert [line.split()[0] for line in listed.splitlines()] == ["mnist", "fashion-mnist"]

    environment.install("train")
    print(f"with training: {environment.grown_mib:.0f} MiB")
    assert "train" in environment("diffusion-toy-train", "--help")
    weights = next((tmp_path / "clean").rglob("models/mnist.safetensors"))
    drawing = ("--checkpoint", weights, "--count", "2", "--steps", "2", "--out", tmp_path / "digits.npz")
    environment("diffusion-toy-train", "sample", *drawing)
    assert (tmp_path / "digits.npz").exists()
