"""The dashboard and the alert rules: every metric they name exists, and the alerts fire when they should."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from inference_server.ops.monitoring import Load, Metrics
from inference_server.options import ServerOptions
from tests.deploy.manifests import MANIFESTS
from tests.tools import ROOT, require_tool

MONITORING = MANIFESTS / "components" / "monitoring"
MANUAL = ROOT / "docs" / "OPERATING.md"
LIMIT = re.compile(r"`(--[\w-]+)` ([\d,]+)")  # with its default
ALERTS = Path(__file__).with_name("alerts_test.yaml")


def known_names() -> set[str]:
    """Return the names of all series that a server may have."""
    names = set()
    for metric in Metrics(Load).registry.collect():
        ending = {"counter": ["_total"], "info": ["_info"], "histogram": ["_bucket", "_count", "_sum"]}
        names |= {metric.name + suffix for suffix in ending.get(metric.type, [""])}
    return names


def rules() -> dict[str, object]:
    """Return the groups of alert rules, as Prometheus itself reads them."""
    groups: dict[str, object] = yaml.safe_load((MONITORING / "alerts.yaml").read_text())["spec"]
    return groups


def expressions() -> Iterator[str]:
    """Yield every expression of the dashboard and of the alert rules."""
    for panel in json.loads((MONITORING / "dashboard.json").read_text())["panels"]:
        for target in panel["targets"]:
            yield target["expr"]
    for group in yaml.safe_load((MONITORING / "alerts.yaml").read_text())["spec"]["groups"]:
        for rule in group["rules"]:
            yield rule["expr"]


def test_dashboard_and_alerts_name_only_metrics_that_exist() -> None:
    known = known_names()
    named = {name for one in expressions() for name in re.findall(r"diffusion_toy_\w+", one)}
    assert named
    assert named <= known, named - known


def test_the_manual_names_only_metrics_and_flags_that_exist() -> None:
    table = [line for line in MANUAL.read_text().splitlines() if line.startswith("|")]
    named = set(re.findall(r"\b(?:diffusion_toy|process)_\w+\w", MANUAL.read_text()))
    known = known_names() | {re.sub("_bucket$", "", name) for name in known_names()}
    assert named
    assert named <= known, named - known
    told = {flag: size.replace(",", "") for row in table for flag, size in LIMIT.findall(row)}
    assert told
    for one in fields(ServerOptions):
        (option,) = one.metadata.values()
        flag = option.flag or f"--{one.name.replace('_', '-')}"
        if flag in told:
            assert float(told.pop(flag)) == one.default, flag
    assert not told


def test_every_metric_but_a_few_is_on_the_dashboard() -> None:
    shown = "\n".join(expressions())
    families = {re.sub("_(total|info|bucket|count|sum)$", "", name) for name in known_names()}
    hidden = {name for name in families if name.startswith("diffusion_toy_") and name not in shown}
    assert hidden <= {
        "diffusion_toy_build", "diffusion_toy_capacity_age_seconds", "diffusion_toy_commands",
        "diffusion_toy_steps", "diffusion_toy_unacknowledged_frames",
    }  # fmt: skip


def test_panels_do_not_overlap_and_have_numbers_of_their_own() -> None:
    panels = json.loads((MONITORING / "dashboard.json").read_text())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {(place["x"] + dx, place["y"] + dy) for dx in range(place["w"]) for dy in range(place["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells
    assert max(x for x, _ in taken) < 24


@pytest.mark.parametrize("expression", sorted(set(expressions())))
def test_expressions_are_promql(expression: str, tmp_path: Path) -> None:
    promtool = require_tool("promtool", "apt-get install prometheus")
    rule = {"record": "x", "expr": expression.replace("$job", "toy")}
    file = tmp_path / "rule.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "one", "rules": [rule]}]}))
    done = subprocess.run([promtool, "check", "rules", str(file)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_alerts_fire_when_they_should_and_not_otherwise(tmp_path: Path) -> None:
    promtool = require_tool("promtool", "apt-get install prometheus")
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(rules()))
    tests = tmp_path / ALERTS.name
    tests.write_text(ALERTS.read_text())
    done = subprocess.run([promtool, "test", "rules", str(tests)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_tested() -> None:
    names = {rule["alert"] for group in rules()["groups"] for rule in group["rules"]}  # type: ignore[attr-defined]
    tested = {
        case["alertname"]
        for test in yaml.safe_load(ALERTS.read_text())["tests"]
        for case in test["alert_rule_test"]
        if case.get("exp_alerts")
    }
    assert tested == names
