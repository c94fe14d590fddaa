"""Running a reply of the history again, for real: asked about where it costs money, watched, and then told about."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, ClassVar, Final

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static
from textual.worker import Worker

from playground.domain.counts import count_of
from playground.domain.display import display_line, display_text
from playground.domain.errors import PlaygroundError
from playground.domain.replay_rows import parting
from playground.screens.choice_dialog import Answer, ChoiceDialog, Question
from playground.widgets.bars import thin_bar
from playground.widgets.key_bar import Hint, KeyBar
from playground.widgets.replay_report import ReplayReportView

if TYPE_CHECKING:
    from pathlib import Path

    from playground.domain.history import Entry
    from playground.screens.token_screen import TokenScreen
    from playground.services.replay_plan import ReplayPlan

_FRAME_SECONDS: Final = 0.1
_BAR: Final = 24
_RUNNING: Final = (Hint("Stop", id="replay.leave"),)
_ENDED: Final = (Hint("Back", id="replay.leave"), "replay.again", Hint("Scroll", "↑↓"), "app.picture")
_SHOWN: Final = 60
"""Characters of the prompt in the title."""


class HistoryReplayScreen(ModalScreen[None]):
    """Runs it as soon as it is shown. Esc ends the run; with nothing running it leads back."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "leave", "Back", id="replay.leave", tooltip="End the run; when none runs, go back"),
        Binding("v", "again", "Once more", id="replay.again", tooltip="Run it once more"),
    ]
    DEFAULT_CSS = """
    HistoryReplayScreen {
        align: center middle;
        & > Vertical {
            width: 94%; max-width: 110; height: auto; max-height: 94%;
            border: round $border; background: $surface; padding: 0 1;
        }
        & > Vertical > Static { height: auto; margin: 0 0 1 0; }
        & #replay-what { color: $text-muted; }
        & ReplayReportView { max-height: 100%; }
        & KeyBar { padding: 0; background: $surface; margin: 1 0 0 0; dock: bottom; }
    }
    """

    def __init__(self, main: TokenScreen, path: Path, entry: Entry) -> None:
        """Shown over the history.

        Args:
            main: Opens models, and keeps the books.
            path: The history file.
            entry: The reply.
        """
        super().__init__()
        self._main = main
        self._path = path
        self._entry = entry
        self._plan: ReplayPlan | None = None
        self._doing = ("finding the model", 0.0)
        self._worker: Worker[None] | None = None

    @property
    def at_work(self) -> bool:
        """True while the model is at work, or on its way."""
        return self._worker is not None and not self._worker.is_finished

    def compose(self) -> ComposeResult:
        """What is run, how far it is, and what came of it."""
        with Vertical() as box:
            box.border_title = Content(f"Run again · #{self._entry.id} · {display_line(self._entry.prompt)[:_SHOWN]}")
            yield Static("", id="replay-what", markup=False)
            yield Static("", id="replay-state", markup=False)
            yield ReplayReportView(id="replay-report")
            yield KeyBar(_RUNNING)

    def on_mount(self) -> None:
        """Begin."""
        self.query_one(ReplayReportView).display = False
        self.set_interval(_FRAME_SECONDS, self._draw)
        self._begin()

    def _begin(self) -> None:
        self._worker = self.run_worker(self._run(), group="replay", exclusive=True)
        self._draw()
        self.query_one(KeyBar).show(_RUNNING)

    # -- the run -----------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        try:
            await self._replay()
        except asyncio.CancelledError:
            paid = " What came until then may cost something." if self._plan is not None and self._plan.hosted else ""
            self._say(f"Stopped: nothing was compared.{paid}")
            raise
        except PlaygroundError as error:
            hint = f"\n{display_line(error.hint)}" if error.hint else ""
            self._say(f"✗ {display_line(error.message)}{hint}")
        finally:
            if self.is_attached:
                self.query_one(KeyBar).show(_ENDED)

    async def _replay(self) -> None:
        from playground.services.replay_plan import find_plan
        from playground.services.replaying import money_question, replay

        main = self._main
        self._plan = plan = await asyncio.to_thread(find_plan, self._path, self._entry.id, main.pool.find)
        self._show_plan(plan)
        question = await money_question(plan, main.accounts)
        if question and not await self._agreed(question):
            self._say("Not run. Nothing was sent.")
            return
        report = await replay(plan, main.pool, self._tell, main.accounts)
        self._say("")
        text = None
        if report.difference is not None:
            given = plan.request
            text = parting(plan.before, report.now, report.difference, len(given.reply_ids), given.reply_text)
        view = self.query_one(ReplayReportView)
        view.display = True
        view.show(report, text)
        view.focus()

    async def _agreed(self, question: str) -> bool:
        answers = [Answer("Run it again", "and pay for it"), Answer("Leave it", "nothing is sent")]
        answer = await self.app.push_screen_wait(ChoiceDialog(Question("Run it again?", question, answers)))
        return answer == 0

    def _tell(self, what: str, share: float) -> None:
        self._doing = what, share  # drawn with the next frame: tokens come quicker than anybody reads

    # -- showing -----------------------------------------------------------------------------------------------

    def _show_plan(self, plan: ReplayPlan) -> None:
        params, count = plan.request.params, len(plan.before)
        seed = f"seed {params.seed}" if params.seed is not None else "no seed known"
        if plan.by_hand:
            seed = f"{len(plan.by_hand):,} of {count:,} chosen by hand"
        what = count_of(count, "piece" if any(token.chunk for token in plan.before) else "token")
        name = display_line(self._entry.model or plan.model.name.rsplit("/", 1)[-1])
        text = f"{name} · {seed} · temperature {params.temperature:g} · {what}"
        self.query_one("#replay-what", Static).update(Content(text))

    def _draw(self) -> None:
        if self.at_work:
            what, share = self._doing
            line = f"{thin_bar(share, _BAR)} {share:4.0%}  {display_line(what)}"
            self.query_one("#replay-state", Static).update(Content(line))

    def _say(self, text: str) -> None:
        """What has become of it, in place of how far it is; empty when the report says it."""
        self._worker = None
        if self.is_attached:
            state = self.query_one("#replay-state", Static)
            state.display = bool(text)
            state.update(Content(display_text(text)))

    # -- keys --------------------------------------------------------------------------------------------------

    def action_again(self) -> None:
        """Once more."""
        if self.at_work:
            return
        self.query_one(ReplayReportView).display = False
        self.query_one("#replay-state", Static).display = True
        self._doing = ("finding the model", 0.0)
        self._begin()

    def action_leave(self) -> None:
        """End the run, or go back."""
        if self.at_work:
            self.workers.cancel_group(self, "replay")
        else:
            self.dismiss()
