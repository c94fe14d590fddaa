"""`llm-playground estimate`."""

from __future__ import annotations

import pytest

from tests.cli.support import run


def test_a_table_by_model_and_when_a_cache_pays() -> None:
    done = run("estimate", "anthropic/claude-haiku-4-5", "starter", "--in", "8000", "--out", "500", "--cached", "0.9")
    assert done.status == 0
    head, claude, here, *caching = done.out.splitlines()
    assert head.split() == ["model", "a", "request", "a", "day", "30", "days", "30d", "uncached", "whole", "reply"]
    assert claude.count("≈$") == 4
    assert here.split()[1:] == ["$0", "$0", "$0", "$0", "–"]
    five, hour = caching
    assert "cache kept 5 minutes: " in five
    assert "pays from the 2nd request within 5 minutes on; yours, evenly spread, come every 86.4 s: it pays" in five
    assert "cache kept 1 hour: " in hour
    assert "pays from the 3rd request within 1 hour on" in hour
    assert "genai-prices" in done.err


def test_as_json() -> None:
    (row,) = run(
        *("estimate", "anthropic/claude-haiku-4-5", "--requests", "10", "--in", "1000", "--out", "0", "--json")
    ).objects
    assert row["day"] == pytest.approx(10 * row["request"])


def test_waiting_and_writing_are_two_numbers() -> None:
    (row,) = run(
        *("estimate", "starter", "--in", "1", "--out", "101", "--ttft-ms", "500", "--speed", "50", "--json")
    ).objects
    assert (row["waiting_s"], row["writing_s"], row["response_s"]) == (0.5, 2.0, 2.5)


def test_a_load_that_comes_too_seldom_and_a_prompt_too_short_for_a_cache_are_said() -> None:
    done = run("estimate", "anthropic/claude-haiku-4-5", "--requests", "20", "--in", "700", "--out", "9")
    assert "every 72 minutes, too seldom; 288 a day would do" in done.out
    assert "Most providers keep nothing below 1,024 tokens; yours are 700." in done.err


def test_an_unknown_price_is_no_zero() -> None:
    done = run("estimate", "openai/nobody-knows-this", "--in", "1", "--out", "1")
    assert done.out.splitlines()[1].split()[1:] == ["–", "–", "–", "–", "–"]
    assert "[prices]" in done.err


def test_a_model_without_an_endpoint_that_is_not_on_this_machine_is_not_free() -> None:
    done = run("estimate", "gpt-5-mini", "starter", "--in", "1000", "--out", "100")
    assert done.status == 0
    _, unplaced, here = done.out.splitlines()
    assert unplaced.split()[1:] == ["–"] * 5
    assert here.split()[1] == "$0"
    assert "gpt-5-mini is not on this machine, and its endpoint is missing. Priced: openai/gpt-5-mini." in done.err


@pytest.mark.parametrize("name", ["bar-none", "nosuch.gguf", "/nosuch/model"])
def test_a_model_that_nobody_has_is_bad_input(name: str) -> None:
    done = run("estimate", name, "--in", "1", "--out", "1")
    assert (done.status, done.out) == (2, "")
    assert "ENDPOINT/MODEL" in done.err


@pytest.mark.parametrize(
    ("option", "value", "range_"),
    [
        ("--requests", "nan", "0 to 1,000,000,000,000"),
        ("--requests", "inf", "0 to 1,000,000,000,000"),
        ("--requests", "-1", "0 to"),
        ("--ttft-ms", "nan", "0 to"),
        ("--speed", "0", "more than 0"),
        ("--cached", "nan", "0 to 1"),
    ],
)
def test_figures_that_cannot_be_are_refused_with_the_range(option: str, value: str, range_: str) -> None:
    done = run("estimate", "starter", "--in", "1", "--out", "1", option, value)
    assert (done.status, done.out) == (2, "")
    assert range_ in done.err
