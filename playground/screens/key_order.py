"""Which keys the foot of the screen shows in which state, the likeliest first: there is not room for all."""

from __future__ import annotations

from typing import Final

EMPTY: Final = (
    *("app.help", "app.actions", "model.choose", "preset.choose", "view.controls", "chat.system", "chat.colour"),
    *("chat.raw", "chat.view_prompt", "view.inspector", "preset.save", "app.quit"),
)
BUSY: Final = (
    *("app.help", "chat.stop", "chat.tokens", "view.controls", "preset.choose", "chat.colour", "view.inspector"),
    *("app.actions", "app.quit"),
)
ANSWERED: Final = (
    *("app.help", "chat.regenerate", "chat.continue_reply", "chat.edit_last", "chat.tokens", "app.actions"),
    *("view.controls", "preset.choose", "chat.earlier", "chat.new", "chat.colour", "model.choose", "view.inspector"),
    *("chat.view_prompt", "app.quit"),
)
SEVERAL: Final = (
    *("app.help", "panes.next", "panes.to_all", "chat.regenerate", "panes.add_pane", "panes.maximise_pane"),
    *("app.actions", "compare.difference", "preset.choose", "panes.link", "panes.close_pane", "compare.table"),
    *("chat.tokens", "model.choose", "app.quit"),
)
TOKENS: Final = (
    *("app.help", "chat.stop", "token.activate", "token.take_1", "token.force", "token.fan_out", "token.next_place"),
    *("inside.replay", "inside.parent", "inside.branches", "token.watch_token", "token.ban", "inside.step"),
    *("inside.score", "app.actions", "app.quit"),
)
STEPPING: Final = (
    *("app.help", "token.draw", "token.take_back", "inside.step", "chat.tokens", "chat.continue_reply", "chat.earlier"),
    *("view.controls", "view.inspector", "app.actions", "app.quit"),
)
LOST: Final = ("app.help", "model.reload", "model.choose", "app.actions", "app.quit")
