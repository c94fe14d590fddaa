"""A sweep whose screen is closed: a row over the status bar while it runs, and a notice at its end."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from playground.domain.display import display_text

if TYPE_CHECKING:
    from playground.screens.token_screen import TokenScreen
    from playground.services.experiment_job import SweepJob


class SweepBehind:
    """Tells of it over the panes."""

    def __init__(self, screen: TokenScreen, wanted: Callable[[], None]) -> None:
        """Nothing runs yet; `wanted` is called when the person wants to see the sweep."""
        self._screen = screen
        self._wanted = wanted
        self.unseen = False
        """True when one has ended behind the panes and nobody has looked since."""

    def show(self, job: SweepJob | None) -> None:
        """How far it is, while it runs and is not on screen."""
        from playground.services.experiment_words import progress_line
        from playground.widgets.sweep_badge import SweepBadge

        if not self._screen.is_attached:
            return
        badges = self._screen.query(SweepBadge)
        if job is None or not job.running or self._on_screen():
            badges.remove()
        elif badges:
            badges.first().update(f"sweep {progress_line(job.progress)} · f12 shows it")
        else:
            self._screen.mount(SweepBadge(self._wanted), before="#status")

    def ended(self, job: SweepJob) -> None:
        """Say what came of it, unless that is on screen."""
        self.show(job)
        if self._on_screen():
            return
        self.unseen = True
        text = f"{job.answered:,} of {job.progress.total:,} replies are there."
        text += f" {job.errors[0]}" if job.errors else ""
        self._screen.notify(
            display_text(f"{text} F12, Sweep shows them."),
            title="The sweep is done" if job.complete else "The sweep has ended",
            severity="information" if job.complete else "warning",
            timeout=8,
            markup=False,
        )

    def _on_screen(self) -> bool:
        from playground.screens.sweep_screen import SweepScreen

        return any(isinstance(screen, SweepScreen) for screen in self._screen.app.screen_stack)
