"""The real model, loaded once for all tests of the engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from playground.engine.model import LoadedModel
from tests.engine.support import ONE_THREAD, Harness, opened


@pytest.fixture(scope="session")
def loaded_starter(starter_gguf: Path) -> Iterator[LoadedModel]:
    with opened(starter_gguf, context=1024, **ONE_THREAD) as model:
        yield model


@pytest.fixture
def harness(loaded_starter: LoadedModel) -> Iterator[Harness]:
    """An engine with an empty cache on the real model."""
    yield Harness(loaded_starter)
    for sequence in range(8):
        loaded_starter.context.remove(sequence, 0)
