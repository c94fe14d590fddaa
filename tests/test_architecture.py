"""The house rules that a machine can check: imports, lint, formatting, types."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = {
    *("llama_cpp", "numpy", "jinja2", "psutil", "tomlkit", "yaml", "gguf", "xllamacpp"),
    *("anthropic", "openai", "httpx2", "httpx", "httpcore2", "httpcore", "anyio", "pydantic", "requests"),
    *(
        "tiktoken",
        "regex",
        "bpe_openai",
        "tokenizers",
        "genai_prices",
        "huggingface_hub",
        "transformers",
        "markdown_it",
    ),
}
LATER = {"sqlite3"}
"""What is loaded a moment after the first paint."""
LIGHT = {"click", "msgspec", "platformdirs"}
SCREEN = {"textual", "rich"}


def run_tool(*command: str) -> None:
    done = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def imported_by(statement: str) -> set[str]:
    """Names of everything that is loaded after some statements, in a process of its own."""
    code = f"{statement}\nimport sys\nprint(*sorted(sys.modules))"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    return set(done.stdout.split())


def test_lint() -> None:
    run_tool("-m", "ruff", "check", ".")


def test_format() -> None:
    run_tool("-m", "ruff", "format", "--check", ".")


@pytest.mark.timeout(600)
def test_types() -> None:
    run_tool("-m", "mypy")


def test_imports_run_downwards() -> None:
    run_tool("-c", "import sys; from importlinter.cli import lint_imports_command; lint_imports_command()")


def test_help_loads_nothing_heavy() -> None:
    loaded = imported_by("import playground.cli.main")
    assert not loaded & (HEAVY | LATER | SCREEN)


def test_every_dependency_is_known_to_be_light_or_heavy() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = {re.split(r"[^\w-]", line)[0].replace("-", "_") for line in project["dependencies"]}
    imported = {"pyyaml": "yaml", "markdown_it_py": "markdown_it"}
    names = {imported.get(name, name.removesuffix("_python")) for name in wanted}
    assert names <= HEAVY | LIGHT | SCREEN


def test_first_paint_loads_nothing_heavy() -> None:
    loaded = imported_by("import playground.app")
    assert "textual" in loaded, "else the test looks in the wrong place"
    assert not loaded & (HEAVY | LATER)
    behind = {f"playground.{name}" for name in ("widgets.transcript", "widgets.controls", "screens.deck", "engine")}
    assert not loaded & behind, "these come right after it"
    assert not loaded & {"playground.domain.text_diff", "csv"}, "these come when they are asked for"


IN_USE = """
import asyncio
from playground.app import PlaygroundApp
from playground.domain.endpoints import ModelRef
from playground.services.presets import load_presets
from playground.services.settings import Settings
from playground.services.start import DEFAULT_PRESET, find_preset, starting_params

presets, _ = load_presets()
preset = find_preset(presets, DEFAULT_PRESET)
app = PlaygroundApp(Settings(), model="", presets=presets, preset=preset, params=starting_params(preset))

async def use():
    async with app.run_test(size=(120, 40)) as pilot:
        screen = app.get_default_screen()
        while not screen.furnished or screen.pane.opening:
            await pilot.pause(0.05)
        await pilot.press("h", "alt+n")
        while len(screen.all_panes) < 2 or screen.pane.opening:
            await pilot.pause(0.05)
        {more}
        await app.action_quit()

asyncio.run(use())
"""
HOSTED = """
        screen.load_model(screen.pane, ModelRef("anthropic", "a-model"))
        while "anthropic" not in __import__("sys").modules:
            await pilot.pause(0.05)
"""


def test_local_panes_load_nothing_heavy(starter_gguf: Path) -> None:
    """Furnished, with a model in a process of its own, two panes and a prompt that is written."""
    del starter_gguf
    loaded = imported_by(IN_USE.format(more=""))
    assert "playground.backends.local" in loaded, "else no model was opened"
    assert not loaded & HEAVY


def test_an_sdk_is_loaded_by_the_model_that_needs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-none")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:9")
    loaded = imported_by(IN_USE.format(more=HOSTED.strip()))
    assert not loaded & {"openai", "tiktoken", "llama_cpp", "numpy"}


@pytest.mark.parametrize("floor", ["domain", "engine", "backends", "services"])
def test_nothing_below_the_widgets_knows_a_screen(floor: str) -> None:
    names = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in sorted((ROOT / "playground" / floor).glob("*.py"))
        if path.stem not in ("__init__", "__main__")
    ]
    loaded = imported_by("\n".join(f"import {name}" for name in names))
    assert set(names) <= loaded
    assert not loaded & SCREEN


def test_the_local_backend_knows_the_frames_and_no_more() -> None:
    loaded = imported_by("import playground.backends.local")
    assert {name for name in loaded if name.startswith("playground.engine.")} == {"playground.engine.protocol"}
