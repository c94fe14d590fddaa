"""The doctor's report on the screen: problems first, with what to do about them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from playground.screens import doctor_screen
from playground.screens.doctor_screen import DoctorScreen
from playground.services.doctor import examine
from playground.services.findings import Finding, State
from tests.app.support import Player, make_app, open_experiment, playing, settings


async def open_doctor(player: Player) -> DoctorScreen:
    """Choose it from the list of experiments."""
    return await open_experiment(player, "Doctor", DoctorScreen)


@pytest.mark.usefixtures("starter_gguf")
@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_problems_stand_first_with_a_step_that_can_be_copied(size: tuple[int, int]) -> None:
    settings('nonsense = 1\n[keymap]\n"prompt.send" = "nokey"\n')
    async with playing(make_app(), size) as player:
        await player.ready()
        screen = await open_doctor(player)
        await player.until(lambda: screen.findings and not screen.looking, "looked")
        problems = [one for one in screen.findings if one.state is State.PROBLEM]
        assert {one.area for one in problems} >= {"settings", "keys of the app"}
        assert f"{len(problems)} problem" in player.text
        first = next(line for line in player.text.splitlines() if "✗" in line)
        assert "settings" in first
        assert {"versions", "llama.cpp", "folders", "models", "themes", "terminal"} <= {
            one.area for one in screen.findings
        }
        await player.press("home", "enter")
        await player.until(lambda: player.app.clipboard, "copied")
        assert player.app.clipboard == problems[0].next_step
        await player.press("a")
        await player.until(lambda: "llama.cpp\n  ok " in player.app.clipboard, "all of it copied")
        assert problems[1].text in player.app.clipboard
        await player.press("escape")
        assert player.app.screen is player.screen


@pytest.mark.usefixtures("no_model")
async def test_the_terminal_is_not_asked_while_it_shows_the_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    for name in ("COLORTERM", "NO_COLOR", "TERM_PROGRAM", "TMUX"):
        monkeypatch.delenv(name, raising=False)
    async with playing(make_app()) as player:
        screen = await open_doctor(player)
        await player.until(lambda: screen.findings and not screen.looking, "looked")
        told = [one for one in screen.findings if one.area == "terminal"]
        assert any("256 colours" in one.text for one in told)
        assert any(one.text == "120 columns, 40 rows" for one in told)
        assert not any("did not say" in one.text for one in told)
        assert any("llm-playground doctor, in the shell" in one.next_step for one in told)


@pytest.mark.usefixtures("no_model")
async def test_findings_stream_and_a_key_looks_again(monkeypatch: pytest.MonkeyPatch) -> None:
    import asyncio

    go_on, runs = asyncio.Event(), 0

    async def slowly() -> AsyncIterator[Finding]:
        nonlocal runs
        runs += 1
        yield Finding(area="first", state=State.OK, text=f"look {runs}")
        await go_on.wait()
        yield Finding(area="second", state=State.PROBLEM, text="broken [b]\x1b[31m", next_step="mend it")

    monkeypatch.setattr(doctor_screen, "examine", slowly)
    async with playing(make_app()) as player:
        screen = await open_doctor(player)
        await player.until(lambda: "look 1" in player.text and "looking …" in player.text, "the first finding")
        go_on.set()
        await player.until(lambda: not screen.looking, "through")
        lines = player.text.splitlines()
        broken = next(at for at, line in enumerate(lines) if "broken [b]" in line)
        assert "→ mend it" in lines[broken + 1]
        assert broken < next(at for at, line in enumerate(lines) if "look 1" in line)
        await player.press("r")
        await player.until(lambda: "look 2" in player.text and not screen.looking, "looked again")
        assert sum("broken" in line for line in player.text.splitlines()) == 1


async def test_the_report_is_the_command_lines(no_model: None) -> None:
    del no_model
    async with playing(make_app()) as player:
        screen = await open_doctor(player)
        await player.until(lambda: screen.findings and not screen.looking, "looked")
        here = [one async for one in examine()]
        same = [(one.area, one.state) for one in screen.findings[: len(here)]]
        assert same == [(one.area, one.state) for one in here]
