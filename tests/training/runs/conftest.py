"""The small real sample, for runs that take seconds."""

from __future__ import annotations

import pytest

from tests.tools import SAMPLE
from training.data.images import ImageSet
from training.data.named import load_dataset


@pytest.fixture(scope="module")
def data() -> ImageSet:
    return load_dataset("mnist", SAMPLE)
