"""`llm-playground bench` measures what it says, however slow the machine is."""

from __future__ import annotations

import pytest

from tests.cli.support import run


@pytest.mark.usefixtures("starter_gguf")
def test_every_row_has_a_figure_and_a_ratio() -> None:
    result = run("bench", "--pairs", "1", "--tokens", "8", "--history", "60", "--json")
    assert (result.status, result.err) == (0, "")
    rows = {row["name"]: row for row in result.objects}
    assert {row["unit"] for row in rows.values()} == {"tokens/s", "ms"}
    assert all(row["value"] > 0 and row["ratio"] > 0 and row["runs"] == 1 for row in rows.values())
    assert rows["bare loop"]["ratio"] == 1.0
    for name in ("engine, 1 at once", "engine, 2 at once", "engine, 4 at once", "engine in its own process"):
        assert rows[name]["against"] == "bare loop"
    assert any("follow-up" in name for name in rows)
    assert any("create_completion" in name for name in rows)


def test_a_missing_model_is_one_line() -> None:
    result = run("bench", "--model", "/no/such/model.gguf")
    assert (result.status, result.out) == (2, "")
    assert "/no/such/model.gguf" in result.error
