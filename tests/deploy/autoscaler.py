"""What Kubernetes does with a HorizontalPodAutoscaler, as far as ours has it: one metric of the pods.

https://kubernetes.io/docs/concepts/workloads/autoscaling/horizontal-pod-autoscale/, "Algorithm details" and
"Configurable scaling behavior". Times are seconds of a clock that is passed in.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.deploy.manifests import Resource

SYNC_S = 15.0  # between two looks, by default
TOLERANCE = 0.1  # by which the metric may differ from its target without anything happening, by default


@dataclass
class Rule:
    """How fast the number may change in one direction.

    Attributes:
        window_s: how long a recommendation has to hold.
        pods: at most so many in `period_s`.
        changes: when so many pods came or went.
    """

    window_s: float
    pods: int
    period_s: float
    changes: list[tuple[float, int]] = field(default_factory=list)

    @classmethod
    def of(cls, behavior: Resource) -> Rule:
        """Read a direction of `spec.behavior`."""
        (policy,) = behavior["policies"]
        assert policy["type"] == "Pods"
        return cls(behavior["stabilizationWindowSeconds"], policy["value"], policy["periodSeconds"])

    def allowed(self, now: float) -> int:
        """Return how many pods may come or go now."""
        return self.pods - sum(count for then, count in self.changes if now - then < self.period_s)


class Autoscaler:
    """Says how many pods there should be.

    Args:
        resource: the HorizontalPodAutoscaler.

    Attributes:
        metric: the name of the metric it goes by.
    """

    def __init__(self, resource: Resource) -> None:
        spec: Any = resource["spec"]
        (metric,) = spec["metrics"]
        target = metric["pods"]["target"]
        assert (metric["type"], target["type"]) == ("Pods", "AverageValue")
        self.metric: str = metric["pods"]["metric"]["name"]
        self._target = float(target["averageValue"].removesuffix("m")) / 1000
        self._least, self._most = spec["minReplicas"], spec["maxReplicas"]
        self._up, self._down = (Rule.of(spec["behavior"][way]) for way in ("scaleUp", "scaleDown"))
        self._recommended: list[tuple[float, int]] = []

    def replicas(self, values: Sequence[float], now: float) -> int:
        """Return how many pods there should be from now on.

        Args:
            values: the metric of each pod that is ready.
            now: not before that of the last call.
        """
        current = len(values)
        ratio = sum(values) / current / self._target
        desired = current if abs(ratio - 1) <= TOLERANCE else math.ceil(current * ratio)
        desired = min(max(desired, self._least), self._most)
        self._recommended.append((now, desired))
        highest = max(one for then, one in self._recommended if now - then <= self._down.window_s)
        lowest = min(one for then, one in self._recommended if now - then <= self._up.window_s)
        if lowest > current:
            desired = min(lowest, current + max(0, self._up.allowed(now)))
            self._up.changes.append((now, desired - current))
        elif highest < current:
            desired = max(highest, current - max(0, self._down.allowed(now)))
            self._down.changes.append((now, current - desired))
        else:
            desired = current
        return desired
