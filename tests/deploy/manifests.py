"""The manifests in deploy/kubernetes as a cluster would get them: rendered by `kubectl kustomize`."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from tests.models import write_model
from tests.tools import ROOT, require_tool

MANIFESTS = ROOT / "deploy" / "kubernetes"
RENDERED = "rendered.yaml"
COMPONENTS = tuple(sorted(folder.name for folder in (MANIFESTS / "components").iterdir()))
KUBECTL = "see https://kubernetes.io/docs/tasks/tools/ (1.27 or later), or .ci/run"
SECRET = "DIFFUSION_TOY_RESUME_KEY={key}\nDIFFUSION_TOY_TOKEN={token}\n"
KEY, TOKEN = "a-key-for-resume-tokens-in-tests", "a-token-for-viewers-in-tests"

Resource = Mapping[str, Any]


def render(folder: Path, components: Sequence[str], patches: Sequence[str] = ()) -> list[Resource]:
    """Return what an overlay of the shipped manifests consists of.

    Args:
        folder: where the overlay is written.
        components: which of deploy/kubernetes/components it has.
        patches: strategic merge patches, YAML.
    """
    tree = folder / "kubernetes"
    shutil.copytree(MANIFESTS, tree, dirs_exist_ok=True)
    overlay = tree / "example"
    (overlay / "secret.env").write_text(SECRET.format(key=KEY, token=TOKEN))
    kustomization = yaml.safe_load((overlay / "kustomization.yaml").read_text())
    kustomization["components"] = [f"../components/{name}" for name in components]
    kustomization["patches"] = [{"patch": patch} for patch in patches]
    (overlay / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    done = subprocess.run(
        [require_tool("kubectl", KUBECTL), "kustomize", str(overlay)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    (folder / RENDERED).write_text(done.stdout)
    return rendered(folder)


def tiny_server(folder: Path, *, capacity: int, admin_port: int | None = None) -> str:
    """Return a patch for servers that run a tiny model slowly, so that many fit into one machine.

    Args:
        folder: where the model's file is written.
        capacity: network rows a second that each server promises.
        admin_port: the container's port for the administration, if it is on.
    """
    variables = {
        "MODEL": write_model(folder / "tiny.safetensors"),
        "TICK_RATE": 5,
        "CAPACITY": capacity,
    }
    container: dict[str, Any] = {"name": "server", "resources": {"limits": {"cpu": "1"}}}
    if admin_port is not None:
        variables["ADMIN_PORT"] = admin_port
        container["ports"] = [{"name": "admin", "containerPort": admin_port}]
    container["env"] = [
        {"name": f"DIFFUSION_TOY_{name}", "value": str(value)} for name, value in variables.items()
    ]
    pod = {"spec": {"containers": [container]}}
    metadata = {"name": "diffusion-toy"}
    patch = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": {"template": pod}}
    return str(yaml.safe_dump(patch))


def rendered(folder: Path) -> list[Resource]:
    """Return what `render` has left in this folder."""
    return list(yaml.safe_load_all((folder / RENDERED).read_text()))


def of_kind(resources: Sequence[Resource], kind: str) -> list[Resource]:
    """Return the resources of a kind."""
    return [one for one in resources if one["kind"] == kind]


def named(resources: Sequence[Resource], kind: str, name: str) -> Resource:
    """Return the resource of this kind whose name begins so; generated names end in a hash."""
    found = [one for one in of_kind(resources, kind) if one["metadata"]["name"].startswith(name)]
    assert len(found) == 1, f"{len(found)} resources {kind} {name}"
    return found[0]


def containers(resources: Sequence[Resource]) -> Iterator[tuple[Resource, Resource]]:
    """Yield the specification of each Deployment's pods with that of each of their containers."""
    for deployment in of_kind(resources, "Deployment"):
        pod = deployment["spec"]["template"]["spec"]
        for container in pod["containers"]:
            yield pod, container
