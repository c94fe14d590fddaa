"""Rows of the comparison: where their figures come from, what is unknown, and what a table looks like elsewhere."""

from __future__ import annotations

import csv
import io
import math

import pytest

from playground.domain.compare_rows import CompareRow, PaneState, Perplexity, as_csv, as_markdown, row_of
from playground.domain.events import Finished, StopReason
from playground.domain.messages import Role
from playground.domain.session import Phase, Session
from playground.domain.tokens import Token
from playground.domain.transcript import Turn
from playground.domain.usage import Timings, Usage
from tests.domain.support import end, exchange, fail, start, write


def reply(*logprobs: float | None, special: str = "") -> Turn:
    tokens = [Token(i, i, b"x", logprob, None, None, None) for i, logprob in enumerate(logprobs)]
    if special:
        tokens.append(Token(len(tokens), 99, b"", -9.0, None, None, None, special=special))
    return Turn(1, None, Role.ASSISTANT, tokens=tokens)


def last_reply(session: Session) -> Turn:
    turn = session.transcript.last(Role.ASSISTANT)
    assert turn is not None
    return turn


def live_row(session: Session) -> CompareRow:
    return row_of(2, last_reply(session), model="tiny", phase=session.phase, figures=session.figures)


def test_a_row_grows_with_the_reply() -> None:
    session = Session()
    assert row_of(1, None, model="tiny", preset="precise *") == CompareRow(number=1, model="tiny", preset="precise *")
    session.send("Hi")
    assert live_row(session).state is PaneState.SENT
    start(session)
    row = live_row(session)
    assert (row.prompt_tokens, row.cached_tokens, row.completion_tokens, row.ttft_ms) == (20, 5, None, None)
    write(session, "a", "b", "c")
    row = live_row(session)
    assert (row.state, row.completion_tokens, row.ttft_ms) == (PaneState.WRITING, 3, 100.0)
    assert (row.tokens_per_second, row.speed_estimate, row.cost) == (50.0, True, None)
    assert row.state.busy
    end(session, cost=0.0)
    row = live_row(session)
    assert (row.state, row.ending, row.cost, row.speed_estimate) == (PaneState.DONE, "end of text", 0.0, False)
    assert not row.state.busy


def test_an_estimated_cost_is_told_as_such_while_the_reply_is_written() -> None:
    session = Session()
    session.send("Hi")
    row = row_of(1, last_reply(session), phase=session.phase, cost_so_far=0.002)
    assert (row.cost, row.cost_estimate) == (0.002, True)


def test_the_model_that_wrote_the_reply_goes_before_the_one_that_answers_now() -> None:
    session = Session()
    session.model = "claude"
    exchange(session, "Hi", "yes")
    assert row_of(1, last_reply(session), model="another").model == "claude"


def test_a_failed_reply_keeps_what_came_and_says_why() -> None:
    session = Session()
    session.send("Hi")
    start(session)
    write(session, "a")
    fail(session, "The server went away.")
    row = live_row(session)
    assert (row.state, row.completion_tokens, row.ending) == (PaneState.FAILED, 1, "The server went away.")


def test_a_refusal_is_told_with_its_category() -> None:
    finished = Finished(
        stream=1, reason=StopReason.REFUSAL, text="", usage=Usage(estimate=True), timings=Timings(), detail="violence"
    )
    row = row_of(1, Turn(1, None, Role.ASSISTANT, finished=finished))
    assert (row.ending, row.tokens_estimate, row.cost) == ("refused: violence", True, None)


def test_perplexity_is_of_the_text_alone() -> None:
    turn = reply(math.log(0.5), math.log(0.125), special="<end>")
    assert Perplexity().of(turn) == pytest.approx(4.0)


@pytest.mark.parametrize(
    ("logprobs", "known"),
    [
        ((), False),
        ((None, None), False),
        ((-1.0, None), False),
        ((-1.0,) * 9 + (None,), True),
        ((-1.0,) * 8 + (None,), False),
    ],
)
def test_perplexity_needs_nearly_all_probabilities(logprobs: tuple[float | None, ...], known: bool) -> None:
    value = Perplexity().of(reply(*logprobs))
    assert value == (pytest.approx(math.e) if known else None)


def test_perplexity_follows_a_reply_and_starts_anew_with_another() -> None:
    meter, turn = Perplexity(), reply(-1.0)
    assert meter.of(turn) == pytest.approx(math.e)
    turn.tokens.append(Token(1, 1, b"x", -3.0, None, None, None))
    assert meter.of(turn) == pytest.approx(math.exp(2))
    del turn.tokens[:]
    assert meter.of(turn) is None
    assert meter.of(reply(-10_000.0)) == math.inf


FULL = CompareRow(
    number=1,
    model="smollm2",
    preset="precise *",
    prompt_tokens=1234,
    cached_tokens=0,
    completion_tokens=56,
    tokens_estimate=True,
    ttft_ms=812.4,
    tokens_per_second=41.26,
    speed_estimate=True,
    cost=0.00123,
    perplexity=3.456,
    state=PaneState.DONE,
    ending="end of text",
)
HOSTILE = CompareRow(
    number=2, model="=cmd|' /C calc'!A0", preset="a|b\n`c` <i>", state=PaneState.FAILED, ending="\x1b[31m+1"
)


def test_the_markdown_table_tells_estimates_and_what_nobody_knows() -> None:
    lines = as_markdown([FULL, CompareRow(number=2)]).splitlines()
    assert lines[2] == "| 1 | smollm2 | precise \\* | ≈1,234 | ≈0 | ≈56 | 812 | ≈41.3 | 0.001230 | 3.46 | end of text |"
    assert lines[3] == "| 2 | – | – | – | – | – | – | – | – | – | empty |"


def test_foreign_text_breaks_no_markdown_table() -> None:
    table = as_markdown([FULL, HOSTILE])
    assert "\x1b" not in table
    lines = table.splitlines()
    assert len(lines) == 4
    assert len({line.replace("\\|", "").count("|") for line in lines}) == 1
    assert "\\<i\\>" in lines[3]
    assert "a\\|b \\`c\\`" in lines[3]


def test_the_csv_table_holds_bare_numbers_and_no_formula() -> None:
    full, hostile = csv.DictReader(io.StringIO(as_csv([FULL, HOSTILE])))
    assert (full["prompt_tokens"], full["cost"], full["tokens_per_second"]) == ("1234", "0.00123", "41.26")
    assert full["estimated"] == "tokens tokens_per_second"
    assert hostile["model"] == "'=cmd|' /C calc'!A0"
    assert hostile["preset"] == "a|b `c` <i>"
    assert (hostile["prompt_tokens"], hostile["perplexity"]) == ("", "")
    assert "\x1b" not in hostile["ending"]


@pytest.mark.parametrize("start_of_formula", ["=", "+", "-", "@", "\t=", "\n@", " -", "＝"])
def test_a_spreadsheet_finds_no_formula_in_a_name(start_of_formula: str) -> None:
    row = next(csv.DictReader(io.StringIO(as_csv([CompareRow(number=1, preset=f"{start_of_formula}1+1")]))))
    assert row["preset"].startswith("'")


def test_every_phase_has_its_state() -> None:
    states = {row_of(1, None, phase=phase).state for phase in Phase}
    assert len(states) == len(Phase)
