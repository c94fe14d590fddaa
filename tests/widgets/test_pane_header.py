"""A pane in a few words: what stays when there is little room, what is an estimate, what came from elsewhere."""

from __future__ import annotations

import dataclasses

from rich.cells import cell_len

from playground.domain.compare_rows import PaneState
from playground.widgets.pane_header import GLYPHS, pane_heading, pane_line
from tests.widgets.compare_support import ROWS

LOCAL, HOSTED, FAILED, _, WAITING = ROWS


def test_with_room_everything_is_said() -> None:
    title, figures = pane_heading(HOSTED, 80)
    assert title.plain == "2 claude-sonnet-5 · creative *"
    assert figures.plain == "▸ writing · TTFT 812 ms · ≈120 tok/s · ≈$0.0123"
    assert pane_line(HOSTED, 80).plain == "2 claude-sonnet-5 · creative * · ▸ · 812 ms · ≈120 tok/s · ≈$0.0123"


def test_in_24_columns_model_state_and_speed_are_left() -> None:
    assert pane_line(LOCAL, 24).plain == "1 SmolLM2-… ■ 41.3 tok/s"
    title, figures = pane_heading(HOSTED, 24)
    assert (title.plain, figures.plain) == ("2 claude-son… creative *", "▸ 812 ms ≈120 tok/s")


def test_no_width_is_overrun() -> None:
    for row in ROWS:
        for width in range(1, 90):
            for text in (pane_line(row, width), *pane_heading(row, width)):
                assert cell_len(text.plain) <= width, (text.plain, width)


def test_what_nobody_knows_takes_no_room() -> None:
    assert pane_line(WAITING, 60).plain == "5 qwen · …"
    assert pane_heading(FAILED, 60).figures.plain == "✗ failed"


def test_a_hostile_name_is_one_harmless_line() -> None:
    row = dataclasses.replace(HOSTED, model="\x1b[2Jbad\nmodel [/red]", preset="[bold]\u202eevil")
    text = pane_heading(row, 80).title
    assert text.plain == "2 ␛[2Jbad model [/red] · [bold]evil"
    assert not text.spans


def test_every_state_has_a_sign_of_its_own() -> None:
    assert len({GLYPHS[state] for state in PaneState}) == len(PaneState)
