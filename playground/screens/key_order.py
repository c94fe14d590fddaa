"""Which keys the foot of the screen shows in which state, the likeliest first: there is not room for all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from playground.widgets.key_bar import Hint

if TYPE_CHECKING:
    from textual.widget import Widget

Keys: TypeAlias = tuple[str | Hint, ...]

TAKE: Final = Hint("Take", "1-0")
"""The digits in front of the candidates."""
BACK: Final = Hint("Back", id="chat.stop")
"""What Esc means beside the prompt while nothing is being written."""
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
    *("app.help", "chat.stop", "token.activate", TAKE, "token.force", "token.fan_out", "token.next_place"),
    *("inside.replay", "inside.parent", "inside.branches", "token.watch_token", "token.ban", "inside.step"),
    *("inside.score", "view.sliders", "app.actions", "app.quit"),
)
TOKENS_ALONE: Final = (
    *TOKENS[:3],
    "view.inspector",
    *(name for name in TOKENS[3:] if name != TAKE),
)
"""The same while the candidates are out of sight."""
CANDIDATES: Final = (
    *("app.help", "chat.stop", "candidates.take", TAKE, "candidates.ban", "candidates.likelier"),
    *("candidates.less", "candidates.watch", "candidates.temperatures", "chat.tokens", "view.sliders", "app.actions"),
    *("view.inspector", "app.quit"),
)
STEPPING_CANDIDATES: Final = ("app.help", "candidates.draw", "candidates.back", *CANDIDATES[2:])
SLIDERS: Final = (
    *(
        "app.help",
        "chat.stop",
        "slider.less",
        "slider.more",
        Hint("Exact", "0-9 ⏎"),
        "slider.reset",
        "slider.much_more",
    ),
    *("view.controls", "chat.tokens", "preset.save", "preset.choose", "app.actions", "app.quit"),
)
CONTROLS: Final = (
    *("app.help", "chat.stop", "row.press", "row.previous", "row.next", "order.toggle", "order.earlier", "order.later"),
    *("order.reset", "controls.down", "controls.up", "view.controls", "chat.tokens", "preset.save", "preset.choose"),
    *("app.actions", "app.quit"),
)
TABLE: Final = (
    *("app.help", "compare.choose", "compare.markdown", "compare.csv", "compare.table", "panes.next", "app.actions"),
    *("app.quit",),
)
PLOT: Final = (
    *("app.help", "watch.left", "watch.right", "watch.scale", "watch.words", "watch.fold", "app.actions", "app.quit"),
)
STEPPING: Final = (
    *("app.help", "token.draw", "token.take_back", "inside.step", "chat.tokens", "chat.continue_reply", "chat.earlier"),
    *("view.controls", "view.inspector", "app.actions", "app.quit"),
)
LOST: Final = ("app.help", "model.reload", "model.choose", "app.actions", "app.quit")


def of_focus(focused: Widget | None, *, busy: bool, stepping: bool, listed: bool) -> Keys:
    """Keys of the widget that has the focus; none where the state of the conversation says what is likely.

    Args:
        focused: The widget.
        busy: True while a reply is being written.
        stepping: True while the conversation goes token by token.
        listed: True while the candidates are in sight.
    """
    keys = _of_widget(focused, stepping, listed)
    return keys if busy else tuple(BACK if key == "chat.stop" else key for key in keys)


def _of_widget(focused: Widget | None, stepping: bool, listed: bool) -> Keys:
    # Imported here because these come after the first paint.
    from playground.widgets.candidates import CandidateList
    from playground.widgets.compare_table import CompareTable
    from playground.widgets.panel import Panel
    from playground.widgets.slider import ParamSlider
    from playground.widgets.token_view import TokenView
    from playground.widgets.watch_plot import WatchPlot

    match focused:
        case None:
            return ()
        case TokenView() if focused.cursor is not None and not stepping:
            return TOKENS if listed else TOKENS_ALONE
        case CandidateList():
            return STEPPING_CANDIDATES if stepping else CANDIDATES
        case ParamSlider():
            return SLIDERS
        case CompareTable():
            return TABLE
        case WatchPlot():
            return PLOT
    return CONTROLS if any(isinstance(one, Panel) for one in focused.ancestors) else ()
