"""Keys of one part of the program, each with the id that help and key map call it by."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass

from textual.binding import Binding


@dataclass(frozen=True)
class KeyMaker:
    """Makes bindings that have the same beginning of their ids, and most else, in common."""

    part: str
    """What their ids begin with: "chat" for "chat.stop"."""
    _: KW_ONLY
    show: bool = True
    """Whether they stand in the bar of keys."""
    priority: bool = False
    """Whether they come before those of the widget that has the focus, such as F6 and F7 of the prompt's editor."""
    target: str = ""
    """Whose actions they are, such as "screen"; empty for those of the class itself."""

    def __call__(
        self,
        keys: str,
        action: str,
        label: str,
        tooltip: str,
        *,
        name: str = "",
        show: bool | None = None,
        priority: bool | None = None,
    ) -> Binding:
        """One of them.

        Args:
            keys: As Textual calls them, with commas between them.
            action: What they do.
            label: For the bar of keys.
            tooltip: For the help.
            name: The end of the id; an action without arguments is its own.
            show: Other than the rest.
            priority: Other than the rest.
        """
        return Binding(
            keys,
            f"{self.target}.{action}" if self.target else action,
            label,
            id=f"{self.part}.{name or action}",
            tooltip=tooltip,
            show=self.show if show is None else show,
            priority=self.priority if priority is None else priority,
        )
