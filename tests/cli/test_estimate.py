"""`llm-playground estimate`."""

from __future__ import annotations

import pytest

from tests.cli.support import run


def test_a_table_by_model_and_when_a_cache_pays() -> None:
    done = run(
        "estimate", "anthropic/claude-haiku-4-5", "nosuch.gguf", "--in", "8000", "--out", "500", "--cached", "0.9"
    )
    assert done.status == 0
    head, claude, here, *caching = done.out.splitlines()
    assert head.split() == ["model", "a", "request", "a", "day", "30", "days", "whole", "reply"]
    assert claude.count("≈$") == 3
    assert here.count("$0.00") == 3
    assert any("cache kept 5m" in line and "pays from the first read on" in line for line in caching)
    assert any("cache kept 1h" in line and "pays from 2 reads on" in line for line in caching)
    assert "genai-prices" in done.err


def test_as_json() -> None:
    (row,) = run(
        *("estimate", "anthropic/claude-haiku-4-5", "--requests", "10", "--in", "1000", "--out", "0", "--json")
    ).objects
    assert row["day"] == pytest.approx(10 * row["request"])


def test_an_unknown_price_is_no_zero() -> None:
    done = run("estimate", "openai/nobody-knows-this", "--in", "1", "--out", "1")
    assert done.out.splitlines()[1].split()[1:] == ["–", "–", "–", "–"]
    assert "[prices]" in done.err
