"""The file of a sweep: what is written stays, half a line does not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from playground.domain.errors import BadInput, Problem, RunFailed
from playground.domain.experiments import CellResult, Sweep
from playground.services.experiment_store import CELLS, CellFile, find_cells
from tests.services.experiment_support import make_sweep


def result(sweep: Sweep, at: int, text: str = "é\n|", problem: Problem | None = None) -> CellResult:
    cell = sweep.cells[at]
    return CellResult(
        id=cell.id, model=cell.model, prompt="p", preset="x", values={"temperature": 0.1}, sample=1, seed=1, text=text,
        tokens=(1, "ab"), problem=problem,
    )  # fmt: skip


def written(folder: Path, sweep: Sweep, count: int) -> Path:
    with CellFile(folder) as file:
        file.begin(sweep)
        for at in range(count):
            file.add(result(sweep, at))
    return folder / CELLS


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    sweep = make_sweep("/m.gguf")
    written(tmp_path / "new", sweep, 2)
    with CellFile(tmp_path / "new") as file:
        assert file.plan == sweep
        assert file.results == {sweep.cells[at].id: result(sweep, at) for at in range(2)}
        file.begin(sweep)
    assert (tmp_path / "new" / CELLS).read_bytes().count(b'{"plan"') == 1
    assert (tmp_path / "new" / CELLS).stat().st_mode & 0o077 == 0, "prompts are nobody else's business"


@pytest.mark.parametrize("cut", [1, 7, 60])
def test_a_half_written_last_line_is_dropped_and_the_next_one_begins_a_line(tmp_path: Path, cut: int) -> None:
    sweep = make_sweep("/m.gguf")
    path = written(tmp_path, sweep, 3)
    os.truncate(path, path.stat().st_size - cut)
    with CellFile(tmp_path) as file:
        assert len(file.results) == 2
        file.add(result(sweep, 2, "again"))
    with CellFile(tmp_path) as file:
        assert [one.text for one in file.results.values()] == ["é\n|", "é\n|", "again"]
        assert file.damaged == 0


def test_a_plan_that_was_half_written_begins_anew(tmp_path: Path) -> None:
    sweep = make_sweep("/m.gguf")
    path = written(tmp_path, sweep, 0)
    os.truncate(path, path.stat().st_size - 9)
    with CellFile(tmp_path) as file:
        assert file.plan is None
        file.begin(sweep)
    with CellFile(tmp_path) as file:
        assert file.plan == sweep


def test_a_line_of_rubbish_in_the_middle_costs_that_cell_alone(tmp_path: Path) -> None:
    sweep = make_sweep("/m.gguf")
    path = written(tmp_path, sweep, 3)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join((*lines[:2], b"\0" * 50 + b"\n", *lines[3:])))
    with CellFile(tmp_path) as file:
        assert file.damaged == 1
        assert set(file.done()) == {sweep.cells[0].id, sweep.cells[2].id}


def test_a_failed_cell_is_not_done_until_it_succeeds(tmp_path: Path) -> None:
    sweep = make_sweep("/m.gguf")
    with CellFile(tmp_path) as file:
        file.begin(sweep)
        file.add(result(sweep, 0, problem=Problem(kind="Overloaded", message="No.")))
        assert not file.done()
        file.add(result(sweep, 0))
        assert len(file.done()) == 1


@pytest.mark.parametrize(
    "content", [b"hello", b"hello\n", b'{"a": 1}\n', b'{"plan": 3}\n', b'{"plan": {}}\nx\n', b"\xff\n"]
)
def test_a_file_of_something_else_is_refused_and_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    (tmp_path / CELLS).write_bytes(content)
    with pytest.raises(BadInput), CellFile(tmp_path):
        pass
    assert (tmp_path / CELLS).read_bytes() == content


def test_another_sweep_is_refused_but_a_larger_one_goes_on(tmp_path: Path) -> None:
    sweep = make_sweep("/m.gguf")
    written(tmp_path, sweep, 3)
    with CellFile(tmp_path) as file:
        with pytest.raises(BadInput, match="holds another sweep"):
            file.begin(make_sweep("/other.gguf"))
        larger = make_sweep("/m.gguf", samples=5)
        file.begin(larger)
        assert sum(cell.id in file.done() for cell in larger.cells) == 3
    with CellFile(tmp_path) as file:
        assert file.plan == larger


def test_two_cannot_write_one_file(tmp_path: Path) -> None:
    written(tmp_path, make_sweep("/m.gguf"), 1)
    with CellFile(tmp_path), pytest.raises(BadInput, match="Another sweep is writing"), CellFile(tmp_path):
        pass
    with CellFile(tmp_path) as file:
        assert len(file.results) == 1


def test_a_folder_that_cannot_be_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="cannot be opened"), CellFile(tmp_path / "file" / "below"):
        pass
    with pytest.raises(BadInput, match="no sweep"):
        find_cells(tmp_path)


def test_a_full_disk_is_told_and_leaves_whole_lines() -> None:
    class Full(CellFile):
        def __enter__(self) -> Full:
            self._handle = os.open("/dev/full", os.O_WRONLY)
            return self

    with Full(Path("/dev")) as file, pytest.raises(RunFailed, match="No space left"):
        file.add(result(make_sweep("/m.gguf"), 0))
