"""The folder of a private sweep: nobody else's, gone at the end, and cleared away when its program was killed."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from playground.services.private_folder import PrivateFolder

MAKE = "from playground.services.private_folder import PrivateFolder; folder = PrivateFolder(); "
LIVING = MAKE + "print(folder.renew(), flush=True); (folder.path / 'cells.jsonl').write_text('x'); input()"


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary folders are made, in this process and in others."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return temporary


def test_it_is_empty_for_its_owner_alone_and_gone_with_the_next_one(place: Path) -> None:
    folder = PrivateFolder()
    first = folder.renew()
    (first / "cells.jsonl").write_text("x")
    assert (first.parent, stat.S_IMODE(first.stat().st_mode)) == (place, 0o700)
    second = folder.renew()
    assert (list(second.iterdir()), first.exists()) == ([], False)
    folder.remove()
    assert list(place.iterdir()) == []
    assert folder.path is None


def test_what_a_killed_program_left_goes_at_the_next_start_and_what_is_in_use_stays(place: Path) -> None:
    with _living() as killed, _living() as living:
        left, used = _path(killed), _path(living)
        stranger = place / "llm-playground-sweep-link"
        stranger.symlink_to(place / "elsewhere")
        (place / "elsewhere").mkdir()
        killed.kill()
        killed.wait()
        assert left.exists()
        own = PrivateFolder()
        also = PrivateFolder()
        mine, mine_too = own.renew(), also.renew()
        assert not left.exists()
        assert all(folder.exists() for folder in (used, mine, mine_too))
        assert (place / "elsewhere").exists()
        own.remove()
        also.remove()
        living.communicate(b"\n")
    assert not used.exists()


def _living() -> subprocess.Popen[bytes]:
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, "-c", LIVING], stdin=pipe, stdout=pipe, env={**os.environ})


def _path(process: subprocess.Popen[bytes]) -> Path:
    assert process.stdout is not None
    return Path(process.stdout.readline().decode().strip())
