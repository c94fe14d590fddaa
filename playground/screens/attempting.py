"""What the main screen does is attempted: it may be refused, now or when the model has been asked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from textual.screen import Screen

from playground.domain.errors import PlaygroundError, Problem, as_error
from playground.screens.notices import tell_error


class AttemptingScreen(Screen[None]):
    """Tells what could not be done, and goes on."""

    def attempt(self, action: Callable[[], None]) -> None:
        """Do something that may be refused; a refusal is a notice, nothing more."""
        try:
            action()
        except PlaygroundError as error:
            self.tell(error)

    def attempt_later(self, action: Callable[[], Awaitable[None]], group: str, *, exclusive: bool = False) -> None:
        """The same for what waits on the model: the screen goes on meanwhile."""

        async def run() -> None:
            try:
                await action()
            except PlaygroundError as error:
                self.tell(error)

        # A function, because a coroutine that is cancelled before it began would complain that nobody awaited it.
        work: Any = run
        self.run_worker(work, group=group, exclusive=exclusive)

    def tell(self, error: PlaygroundError) -> None:
        """Show an error: what happened and what to do."""
        tell_error(self, error)

    def tell_problem(self, problem: Problem) -> None:
        """The same for an error that came as an event."""
        self.tell(as_error(problem))
