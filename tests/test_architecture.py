"""The house rules that a machine can check: imports, lint, formatting, types."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = {"llama_cpp", "numpy", "jinja2", "psutil", "tomlkit", "anthropic", "openai", "tiktoken", "huggingface_hub"}
SCREEN = {"textual", "rich"}


def run_tool(*command: str) -> None:
    done = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def imported_by(statement: str) -> set[str]:
    """Top-level names of everything that is loaded after a statement, in a process of its own."""
    code = f"{statement}\nimport sys\nprint(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
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
    assert not loaded & (HEAVY | SCREEN)


def test_first_paint_loads_nothing_heavy() -> None:
    loaded = imported_by("import playground.app")
    assert "textual" in loaded, "else the test looks in the wrong place"
    assert not loaded & HEAVY


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
