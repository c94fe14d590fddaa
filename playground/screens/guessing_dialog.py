"""The result of measuring what guessing ahead gains, while it comes about and afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from playground.domain.display import display_text
from playground.domain.errors import PlaygroundError
from playground.domain.guess_gain import PAIRS, GuessGain, summed_up, verdict
from playground.widgets.bars import UNKNOWN, percent, thin_bar

if TYPE_CHECKING:
    from playground.screens.guessing import Measuring

_REFRESH_SECONDS = 0.2
_BAR = 24


class GuessingDialog(ModalScreen[None]):
    """Makes the runs and shows their figures. Escape stops them first, and closes when nothing runs."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "leave", "Stop", id="guessing.leave", tooltip="Stop measuring; again: close"),
    ]
    DEFAULT_CSS = """
    GuessingDialog {
        align: center middle;
        & > Vertical {
            width: 80%; max-width: 78; height: auto; max-height: 90%;
            border: round $border; background: $surface; padding: 0 1;
        }
        & Static { height: auto; }
        & #guessing-what { color: $text-muted; margin: 0 0 1 0; }
        & #guessing-verdict { margin: 1 0 0 0; text-style: bold; }
    }
    """

    def __init__(self, measuring: Measuring) -> None:
        super().__init__()
        self._measuring = measuring
        self._at_work = True
        self._problem = ""

    def compose(self) -> ComposeResult:
        """What is done, how far it is, and the figures."""
        measuring = self._measuring
        with Vertical() as box:
            box.border_title = Content("Guessing ahead: what it gains on the last reply")
            yield Static(
                Content(
                    f"The same {measuring.tokens:,} tokens with the same seed, {PAIRS} times with up to "
                    f"{measuring.most} tokens guessed ahead and {PAIRS} times without, in turns. The transcript stays "
                    "as it is."
                ),
                id="guessing-what",
                markup=False,
            )
            yield Static("", id="guessing-figures", markup=False)
            yield Static("", id="guessing-verdict", markup=False)

    def on_mount(self) -> None:
        """Begin."""
        self._draw()
        self.set_interval(_REFRESH_SECONDS, self._draw_progress)
        self._measure()

    @work
    async def _measure(self) -> None:
        try:
            await self._measuring.run(self._draw)
        except PlaygroundError as error:
            self._problem = str(error)
        self._at_work = False
        self._draw()

    def _draw_progress(self) -> None:
        if self._at_work:
            self._draw()

    def _draw(self) -> None:
        measuring = self._measuring
        gain = summed_up(measuring.runs)
        if self._at_work:
            share = measuring.done_share
            said = f"{thin_bar(share, _BAR)} {share:4.0%}  run {min(len(measuring.runs) + 1, PAIRS * 2)} of {PAIRS * 2}"
        elif self._problem:
            said = f"✗ {self._problem}"
        elif gain is None:
            said = "Stopped before a pair of runs was complete: nothing was measured."
        else:
            early = f" Stopped after {gain.pairs} of {PAIRS} pairs." if gain.pairs < PAIRS else ""
            said = f"{verdict(gain)}{early}"
        self.query_one("#guessing-figures", Static).update(_figures(gain))
        self.query_one("#guessing-verdict", Static).update(Content(display_text(said)))
        box = self.query_one(Vertical)
        box.border_subtitle = Content("esc stops" if self._at_work else "esc closes")

    async def action_leave(self) -> None:
        """Stop, or close when nothing runs."""
        if self._at_work and not self._measuring.stopped:
            await self._measuring.stop()
        elif not self._at_work:
            self.dismiss()


def _figures(gain: GuessGain | None) -> Content:
    """Four rows; what is not known yet is a dash."""
    muted = "$foreground 70%"
    right, same = UNKNOWN, UNKNOWN
    if gain is not None:
        right = f"{gain.drafted:,} tokens guessed, {gain.right:,} right" if gain.drafted else "nothing was guessed"
        right += f": {percent(gain.right_share, 4).strip()}" if gain.drafted else ""
        same = (
            "the same in all runs"
            if gain.parted_at is None
            else f"differs from token {gain.parted_at + 1:,} on: a wider step rounds differently"
        )
    return Content.assemble(
        ("with guessing     ", muted),
        (_speed(gain.with_it if gain else None), "bold $primary"),
        "\n",
        ("without           ", muted),
        (_speed(gain.without if gain else None), "bold"),
        "\n",
        ("times as fast     ", muted),
        (f"{gain.ratio:>7.2f}" if gain and gain.ratio is not None else UNKNOWN.rjust(7), "bold $accent"),
        ("   median of the pairs\n", muted),
        ("guesses           ", muted),
        f"{right}\n",
        ("text              ", muted),
        same,
    )


def _speed(tokens_per_second: float | None) -> str:
    return f"{UNKNOWN if tokens_per_second is None else f'{tokens_per_second:.1f}':>7} tokens/s"
