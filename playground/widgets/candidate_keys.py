"""Keys in the list of candidates."""

from __future__ import annotations

from typing import Final

from playground.widgets.key_maker import KeyMaker

_key = KeyMaker("candidates")

CANDIDATE_KEYS: Final = (
    _key("up", "move(-1)", "Up", "Candidate above", name="up", show=False),
    _key("down", "move(1)", "Down", "Candidate below", name="down", show=False),
    _key("pageup", "page(-1)", "Page up", "A page up", name="page_up", show=False),
    _key("pagedown", "page(1)", "Page down", "A page down", name="page_down", show=False),
    _key("home", "move(-1000)", "First", "The likeliest candidate", name="first", show=False),
    _key("end", "move(1000)", "Last", "The last candidate", name="last", show=False),
    _key("enter", "pick", "Take", "Fork the text here with this candidate", name="take"),
    *(
        _key(
            str(number % 10),
            f"screen.take({number})",
            f"Take {number}",
            f"Take candidate {number}, counted from the top",
            name=f"take_{number}",
            show=False,
        )
        for number in range(1, 11)
    ),
    _key("space", "screen.draw", "Draw", "Token by token: draw the next one", name="draw"),
    _key("backspace", "screen.take_back", "Back", "Token by token: take one back", name="back"),
    _key("b", "bend(None)", "Ban", "Ban this candidate, or allow it again", name="ban"),
    _key("plus,equals_sign", "bend(1)", "Likelier", "Add 1 to its logit", name="likelier"),
    _key("minus", "bend(-1)", "Less likely", "Take 1 from its logit", name="less"),
    _key(
        "v",
        "screen.temperatures",
        "Look",
        "The token at several temperatures, what the samplers did, or more candidates",
        name="temperatures",
        show=False,
    ),
    _key("w", "follow", "Watch", "Follow its probability at every step", name="watch"),
)
"""Those that begin with `screen.` work on the tokens too, where they mean the same."""
