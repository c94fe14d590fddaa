"""The app without a model of its own, for tests that bring another."""

from __future__ import annotations

import pytest


@pytest.fixture
def no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which there is no model."""
    monkeypatch.setattr("playground.services.models.starter_model", lambda: None)
    monkeypatch.setattr("playground.services.models.iter_found", lambda *_args, **_more: iter(()))
