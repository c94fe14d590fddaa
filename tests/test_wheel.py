"""The wheel brings its themes, presets and recordings along, and finds them without anything else installed."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import venv
from pathlib import Path

import pytest

TOP = Path(__file__).parents[1]

KINDS = ("themes", "presets", "recordings")
LIST = (
    f"KINDS = {KINDS!r}"
    + """
import json
from playground.services.paths import shipped
print(json.dumps({kind: sorted(path.name for path in shipped(kind).iterdir()) for kind in KINDS}))
print(shipped("themes"))
"""
)


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for needed in ("build", "hatchling"):
        if importlib.util.find_spec(needed) is None:
            pytest.skip(f"{needed} is not installed (pip install -e '.[dev]')")
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, TOP, cwd=out)
    (path,) = out.glob("*.whl")
    return path


def test_an_installed_wheel_finds_its_files(wheel: Path, tmp_path: Path) -> None:
    home = tmp_path / "venv"
    venv.create(home, with_pip=False, symlinks=True)
    python = home / "bin" / "python"
    run(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", wheel, cwd=tmp_path)
    listed, folder = run(python, "-I", "-c", LIST, cwd=tmp_path).splitlines()
    assert json.loads(listed) == {kind: sorted(path.name for path in (TOP / kind).iterdir()) for kind in KINDS}
    assert Path(folder).is_relative_to(home)
    assert (home / "bin" / "llm-playground").exists()
