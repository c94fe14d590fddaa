"""A planted key is looked for in everything that can be seen or read afterwards."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest
from textual.worker import WorkerFailed

from playground.services.settings import settings_path
from playground.widgets.compare_table import CompareTable
from playground.widgets.pane_view import PaneView
from tests.app.hosted_support import KEY, TEXT, Desk, hosted

WRITTEN = "sk-written-9876543210fedcba"
"""A key that stands in the settings themselves."""
HEADER = "hd-planted-5555666677778888"
PLANTED = (KEY, WRITTEN, HEADER)


MORE = f"""
[endpoints.plain]
base_url = "BOX_URL"
api_key = "{WRITTEN}"
[endpoints.headed]
base_url = "BOX_URL"
headers = {{ "X-Api-Key" = "{HEADER}" }}
"""
"""Endpoints with a key in the settings, and with one in a header."""


def seen(desk: Desk) -> str:
    """Everything that a person could see, copy or save."""
    figures = [
        desk.text,
        *desk.transcripts,
        desk.notices,
        desk.app.export_screenshot(),
        desk.app.clipboard,
        str(desk.screen.query_one(PaneView).tooltip),
        *(str(widget.tooltip) for widget in desk.screen.query("*") if widget.tooltip),
        *(repr(turn) for pane in desk.panes for turn in pane.session.transcript.turns.values()),
        *(repr(vars(pane.runner)) + repr(pane.runner.backend and vars(pane.runner.backend)) for pane in desk.panes),
        repr(desk.app.settings),
        repr(desk.screen.pool.endpoints),
    ]
    return "\n".join(figures)


def written(home: Path) -> dict[Path, str]:
    """Every file below a folder, but for the settings in which a person wrote the key."""
    return {
        path: path.read_bytes().decode("utf-8", "replace")
        for path in home.rglob("*")
        if path.is_file() and path != settings_path()
    }


def running() -> str:
    """Command lines and working names of this process and what it started."""
    me = psutil.Process()
    return "\n".join(" ".join(process.cmdline()) for process in (me, *me.children(recursive=True)))


async def test_no_key_shows_wherever_one_looks(
    monkeypatch: pytest.MonkeyPatch, sealed: Path, starter_gguf: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    models = ("box/m:ok", "claude/m:ok", "box/m:echo", "claude/m:echo", "plain/m:echo", "headed/m:echo")
    async with hosted(monkeypatch, *models, more=MORE, assignments=("max_tokens=2",)) as desk:
        await desk.ask_all("Hello?")
        assert TEXT in desk.transcripts[0]
        assert all("does not accept the key" in text for text in desk.transcripts[2:])
        for request in desk.fake.requests:
            assert any(secret in "".join(request.headers.values()) for secret in PLANTED), "it was really sent"
        table = desk.screen.query_one(CompareTable)
        table.focus()
        await desk.press("c", "f8", "escape", "alt+i", "escape", "f1", "escape")
        for secret in PLANTED:
            assert secret not in seen(desk)
            assert secret not in running()
    for secret in PLANTED:
        assert secret not in caplog.text
        for file, text in written(sealed).items():
            assert secret not in text, file


class Broken(Exception):
    """What no code expects."""


async def crash_with_a_key_at_hand(patch: pytest.MonkeyPatch, model: str) -> None:
    """Use a hosted model, then let the app crash in a frame that holds the key and the model's backend."""
    async with hosted(patch, model) as desk:
        await desk.ask("Hello?")

        async def fall() -> None:
            at_hand = KEY, desk.pane.runner.backend
            raise Broken(f"{len(at_hand)} things at hand")

        desk.screen.run_worker(fall())
        await desk.until(lambda: not desk.app.is_running, "crashed")


@pytest.mark.usefixtures("no_model")
@pytest.mark.parametrize("model", ["box/m:ok", "claude/m:ok"])
async def test_a_crash_does_not_print_the_key(
    monkeypatch: pytest.MonkeyPatch, sealed: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(WorkerFailed):
        await crash_with_a_key_at_hand(monkeypatch, model)
    printed = "".join(capsys.readouterr())
    assert "Broken" in printed
    assert "at_hand = KEY" in printed
    assert KEY not in printed
    assert not [path for path, text in written(sealed).items() if KEY in text]
