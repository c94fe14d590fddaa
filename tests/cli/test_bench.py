"""`llm-playground bench` measures what it says, however slow the machine is."""

from __future__ import annotations

import pytest

from tests.cli.support import run


@pytest.mark.usefixtures("starter_gguf")
def test_every_row_has_a_figure_and_a_ratio() -> None:
    result = run("bench", "--streams", "1", "--pairs", "1", "--tokens", "8", "--history", "60", "--json")
    assert (result.status, result.err) == (0, "")
    rows = {row["name"]: row for row in result.objects}
    assert {row["unit"] for row in rows.values()} == {"tokens/s", "ms"}
    assert all(row["value"] > 0 and row["ratio"] > 0 and row["runs"] == 1 for row in rows.values())
    assert rows["bare loop"]["ratio"] == 1.0
    for where in ("engine", "engine in its own process"):
        assert rows[f"{where}, 1 at once"]["against"] == "bare loop"
    assert any("follow-up" in name for name in rows)
    assert any("create_completion" in name for name in rows)


@pytest.mark.usefixtures("starter_gguf")
def test_streams_at_once_are_measured_against_as_many_in_the_bare_loop() -> None:
    result = run("bench", "--streams", "3", "--pairs", "1", "--tokens", "8", "--json")
    assert (result.status, result.err) == (0, "")
    rows = {row["name"]: row for row in result.objects}
    for where in ("engine", "engine in its own process"):
        assert rows[f"{where}, 3 at once"]["against"] == "bare loop with 3"
    shared = [row for name, row in rows.items() if name.startswith("prompt of 1,000 tokens for 3 at once")]
    assert len(shared) == 2
    assert all(row["unit"] == "ms" and row["ratio"] > 0 for row in shared)


def test_a_missing_model_is_one_line() -> None:
    result = run("bench", "--model", "/no/such/model.gguf")
    assert (result.status, result.out) == (2, "")
    assert "/no/such/model.gguf" in result.error
