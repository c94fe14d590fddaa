"""Keys in the list of candidates."""

from __future__ import annotations

from typing import Final

from textual.binding import Binding

CANDIDATE_KEYS: Final = (
    Binding("up", "move(-1)", "Up", show=False, id="candidates.up", tooltip="Candidate above"),
    Binding("down", "move(1)", "Down", show=False, id="candidates.down", tooltip="Candidate below"),
    Binding("pageup", "page(-1)", "Page up", show=False, id="candidates.page_up", tooltip="A page up"),
    Binding("pagedown", "page(1)", "Page down", show=False, id="candidates.page_down", tooltip="A page down"),
    Binding("home", "move(-1000)", "First", show=False, id="candidates.first", tooltip="The likeliest candidate"),
    Binding("end", "move(1000)", "Last", show=False, id="candidates.last", tooltip="The last candidate"),
    Binding("enter", "pick", "Take", id="candidates.take", tooltip="Fork the text here with this candidate"),
    *(
        Binding(
            str(number % 10),
            f"screen.take({number})",
            f"Take {number}",
            show=False,
            id=f"candidates.take_{number}",
            tooltip=f"Take candidate {number}, counted from the top",
        )
        for number in range(1, 11)
    ),
    Binding("space", "screen.draw", "Draw", id="candidates.draw", tooltip="Token by token: draw the next one"),
    Binding("backspace", "screen.take_back", "Back", id="candidates.back", tooltip="Token by token: take one back"),
    Binding("b", "bend(None)", "Ban", id="candidates.ban", tooltip="Ban this candidate, or allow it again"),
    Binding("plus,equals_sign", "bend(1)", "Likelier", id="candidates.likelier", tooltip="Add 1 to its logit"),
    Binding("minus", "bend(-1)", "Less likely", id="candidates.less", tooltip="Take 1 from its logit"),
    Binding(
        "v",
        "screen.temperatures",
        "Look",
        show=False,
        id="candidates.temperatures",
        tooltip="The token at several temperatures, what the samplers did, or more candidates",
    ),
    Binding("w", "follow", "Watch", id="candidates.watch", tooltip="Follow its probability at every step"),
)
"""Those that begin with `screen.` work on the tokens too, where they mean the same."""
