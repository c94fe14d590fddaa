"""A sweep that is stopped, told to end and killed at random moments. `killed_sweep` does it more often."""

from __future__ import annotations

import random
import signal
from pathlib import Path

import pytest

from tests.e2e.killed_sweep import kill_often


@pytest.mark.usefixtures("starter_gguf")
def test_no_cell_runs_twice_however_a_sweep_ends(tmp_path: Path) -> None:
    counts = kill_often(tmp_path / "sweep", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], random.Random(7))
    assert counts == sorted(counts)
