"""The app's theme for an exported page: the same colours for the same tokens."""

from __future__ import annotations

from collections.abc import Sequence

from rich.style import Style
from textual.color import Color
from textual.theme import Theme

from playground.domain.tokens import Token
from playground.services.history_html import Look
from playground.services.paths import shipped, user_config_dir
from playground.theming import load_themes, token_palette, variable_defaults
from playground.widgets.colour_scale import LEVELS, ColourMode, level_of_token

DEFAULT_THEME = "ember"


def page_look(theme_name: str = "") -> Look:
    """Colours of a theme by its name; of the app's own where there is none of that name, or it has none of tokens."""
    themes, _ = load_themes((shipped("themes"), user_config_dir() / "themes"))
    theme = themes.get(theme_name) or themes[DEFAULT_THEME]
    return look_of(theme, variable_defaults(themes, theme.dark) | theme.variables)


def look_of(theme: Theme, variables: dict[str, str]) -> Look:
    """Colours of a theme whose variables have those of tokens."""
    background = theme.background or "#000000"
    palette = token_palette({**variables, "background": background})
    colours = {
        "foreground": theme.foreground or variables["token-foreground"],
        "surface": theme.surface or background,
        "border": variables["note"],
        "user": variables["role-user"],
        "model": variables["role-assistant"],
        "note": variables["note"],
        "mark": variables["mark"],
        "special": variables["token-special"],
        "cut": variables["stage-cut"],
    }
    # As numbers: what a theme calls a colour is not what a browser calls it.
    numbers = {name: Color.parse(colour).hex for name, colour in colours.items()}
    levels = _css(palette[:LEVELS])
    return Look(background=Color.parse(background).hex, levels=levels, level_of=_level, **numbers)


def _css(styles: Sequence[Style]) -> list[tuple[str, str]]:
    pairs = []
    for style in styles:
        assert style.color is not None
        assert style.bgcolor is not None
        pairs.append((style.color.get_truecolor().hex, style.bgcolor.get_truecolor().hex))
    return pairs


def _level(token: Token) -> int | None:
    level = level_of_token(token, ColourMode.PROBABILITY)
    return level if level < LEVELS else None
