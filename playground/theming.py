"""Themes from files, and the styles of tokens that follow from them.

A theme file is TOML: `name`, `dark`, a table `colors` (Textual's own), a table `tokens` (what this program draws) and,
if it likes, a table `variables` with more of Textual's CSS variables. Everything in `tokens` becomes a CSS variable of
the same name. No colour stands anywhere else.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Final

import msgspec
from rich.style import Style
from textual.color import BLACK, WHITE, Color, ColorParseError, Lab, lab_to_rgb, rgb_to_lab
from textual.theme import Theme

from playground.domain.errors import ConfigError
from playground.widgets.colour_scale import GUESSED, LEVELS, PALETTE_SIZE, TokenStyle

MIN_CONTRAST: Final = 4.5
"""Least contrast between text and its background (WCAG 2, level AA)."""

_TEXT_STYLES: Final = frozenset(["none", "not", "bold", "dim", "italic", "underline", "reverse", "strike"])
_PERCENTAGE: Final = re.compile(r"\d{1,3}(\.\d+)?%")
_WHERE: Final = re.compile(r" - at `\$\.?(?P<key>[^`]*)`$")


class _Strict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """A table in which nothing may be misspelt."""

    def items(self) -> Iterator[tuple[str, str]]:
        """Keys as they stand in the file, with their values; those left out are left out."""
        for name, key in zip(self.__struct_fields__, self.__struct_encode_fields__, strict=True):
            value = getattr(self, name)
            if value is not None:
                yield key, value


class ThemeColors(_Strict, frozen=True, kw_only=True):
    """Colours of Textual's own widgets."""

    primary: str
    secondary: str
    warning: str
    error: str
    success: str
    accent: str
    foreground: str
    background: str
    surface: str
    panel: str
    boost: str | None = None


class TokenColors(_Strict, frozen=True, kw_only=True):
    """Colours of what this program draws."""

    prob_0: str
    """Behind the most surprising tokens; from here to `prob_4` the scale runs in even steps."""
    prob_1: str
    prob_2: str
    prob_3: str
    prob_4: str
    """Behind the calmest tokens: near the background, but to be told from it."""
    token_foreground: str
    token_special: str
    role_user: str
    role_assistant: str
    mark: str
    note: str
    meter_system: str
    meter_history: str
    meter_prompt: str
    meter_reserve: str
    meter_free: str
    stage_cut: str


class ThemeFile(_Strict, frozen=True, kw_only=True):
    """A theme as it stands in a file."""

    name: Annotated[str, msgspec.Meta(pattern="^[a-z0-9][a-z0-9-]*$", max_length=40)]
    dark: bool
    colors: ThemeColors
    tokens: TokenColors
    variables: dict[str, str] = {}


def load_themes(folders: Sequence[Path]) -> tuple[dict[str, Theme], list[ConfigError]]:
    """Read every `*.toml` in some folders.

    Args:
        folders: Where to look; a folder that is not there is passed over, a later theme replaces one of the same name.

    Returns:
        The themes by name, and an error for each file that cannot be used, naming the file and the key.
    """
    themes: dict[str, Theme] = {}
    errors: list[ConfigError] = []
    for path in (path for folder in folders for path in sorted(folder.glob("*.toml"))):
        try:
            theme = load_theme(path)
        except ConfigError as error:
            errors.append(error)
        else:
            themes[theme.name] = theme
    return themes, errors


def load_theme(path: Path) -> Theme:
    """Read one theme file; ConfigError names the file and the key that is wrong."""
    try:
        file = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), ThemeFile)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"The theme file {path} cannot be read: {error}.") from error
    except msgspec.ValidationError as error:
        raise _mistake(path, str(error)) from error
    for table, colors in (("colors", file.colors), ("tokens", file.tokens)):
        for key, value in colors.items():
            if not _is_opaque(value):
                raise _mistake(path, f"{value!r} is not an opaque colour - at `$.{table}.{key}`")
    for key, value in file.variables.items():
        if not _is_css_value(value):
            raise _mistake(path, f"{value!r} is neither a colour nor a text style - at `$.variables.{key}`")
    return _textual_theme(file)


def variable_defaults(themes: Mapping[str, Theme], dark: bool) -> dict[str, str]:
    """Variables of `tokens` for a theme that brings none of its own, taken from one of ours as dark as it is.

    For `App.get_theme_variable_defaults`; empty when there is no theme at all.
    """
    names = TokenColors.__struct_encode_fields__
    ours = [theme for theme in themes.values() if all(name in theme.variables for name in names)]
    best = next((theme for theme in ours if theme.dark == dark), ours[0] if ours else None)
    return {} if best is None else {name: best.variables[name] for name in names}


def token_palette(variables: Mapping[str, str]) -> list[Style]:
    """Styles of a token view: `LEVELS` of the scale, then those of `TokenStyle`.

    Args:
        variables: CSS variables by name; those of the table `tokens` and `background` must be there.

    Returns:
        Styles in which every text on the scale has at least MIN_CONTRAST against its background.
    """
    anchors = [rgb_to_lab(Color.parse(variables[f"prob-{number}"])) for number in range(5)]
    texts = [Color.parse(variables[name]) for name in ("token-foreground", "background")]
    # What the terminal makes of a colour of its own is not known, so nothing can be said about reading it.
    texts = [text for text in texts if text.ansi is None]
    styles = [Style.null()] * PALETTE_SIZE
    for level in range(LEVELS):
        background = _between(anchors, level / (LEVELS - 1))
        styles[level] = Style.from_color(readable_on(background, texts).rich_color, background.rich_color)
    for style, (name, attributes) in _NAMED.items():
        styles[style] = Style(color=Color.parse(variables[name]).rich_color) + Style.parse(attributes)
    for level in range(TokenStyle.PLAIN + 1):
        styles[GUESSED + level] = styles[level] + Style(underline=True)
    return styles


def difference_palette(variables: Mapping[str, str], side: int) -> list[Style]:
    """Styles from much less likely through no difference, in the middle, to much likelier.

    Less likely goes the way of surprising tokens, likelier that of the theme's marks.

    Args:
        variables: as for `token_palette`.
        side: Steps to each side of the middle.
    """
    less = [rgb_to_lab(Color.parse(variables[f"prob-{number}"])) for number in range(5)]
    more = [less[-1], rgb_to_lab(Color.parse(variables["mark"]))]
    texts = [Color.parse(variables[name]) for name in ("token-foreground", "background")]
    texts = [text for text in texts if text.ansi is None]
    grounds = [_between(less, step / side) for step in range(side + 1)]
    grounds += [_between(more, step / side) for step in range(1, side + 1)]
    return [Style.from_color(readable_on(ground, texts).rich_color, ground.rich_color) for ground in grounds]


_NAMED: Final = {
    TokenStyle.PLAIN: ("token-foreground", ""),
    TokenStyle.USER: ("role-user", ""),
    TokenStyle.HEADING_USER: ("role-user", "bold"),
    TokenStyle.HEADING_MODEL: ("role-assistant", "bold"),
    TokenStyle.MARK: ("mark", "italic"),
    TokenStyle.CUT: ("stage-cut", "strike"),
    TokenStyle.SPECIAL: ("token-special", "italic"),
    TokenStyle.NOTE: ("note", "italic"),
    TokenStyle.THINKING: ("note", ""),
    TokenStyle.AGREES: ("note", ""),
    TokenStyle.DIFFERS: ("token-foreground", "bold underline"),
    TokenStyle.DIVERGED: ("mark", "bold reverse"),
    TokenStyle.STAYS: ("note", ""),
    TokenStyle.OPEN: ("mark", "underline"),
    TokenStyle.GONE: ("mark", "bold reverse"),
    TokenStyle.UNSURE: ("token-special", "italic"),
}


def readable_on(background: Color, texts: Sequence[Color]) -> Color:
    """The first of some text colours that reads well, or the best of them pulled towards black or white until it does.

    One of black and white always reaches MIN_CONTRAST, so there is an answer on any background.
    """
    for text in texts:
        if contrast(text, background) >= MIN_CONTRAST:
            return text
    goal = max((WHITE, BLACK), key=lambda text: contrast(text, background))
    best = min(texts, key=lambda text: abs(_luminance(text) - _luminance(goal)))
    steps = (best.blend(goal, step / 8) for step in range(1, 8))
    return next((text for text in steps if contrast(text, background) >= MIN_CONTRAST), goal)


def contrast(one: Color, other: Color) -> float:
    """Contrast of two opaque colours after WCAG 2, from 1 to 21."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(color: Color) -> float:
    red, green, blue = (
        part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in color.normalized
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _between(anchors: Sequence[Lab], share: float) -> Color:
    """Colour at a share (0 to 1) of the way along the anchors, in even steps for the eye."""
    place = share * (len(anchors) - 1)
    low = min(int(place), len(anchors) - 2)
    mixed = (a + (b - a) * (place - low) for a, b in zip(anchors[low], anchors[low + 1], strict=True))
    return lab_to_rgb(Lab(*mixed)).clamped


def _textual_theme(file: ThemeFile) -> Theme:
    colors = file.colors
    return Theme(
        name=file.name,
        dark=file.dark,
        primary=colors.primary,
        secondary=colors.secondary,
        warning=colors.warning,
        error=colors.error,
        success=colors.success,
        accent=colors.accent,
        foreground=colors.foreground,
        background=colors.background,
        surface=colors.surface,
        panel=colors.panel,
        boost=colors.boost,
        variables={**file.variables, **dict(file.tokens.items())},
    )


def _is_css_value(value: str) -> bool:
    """True for a colour with or without a percentage, and for text styles; others would break the stylesheet."""
    words = value.split()
    if words and all(word in _TEXT_STYLES for word in words):
        return True
    if len(words) == 2 and _PERCENTAGE.fullmatch(words[1]):
        words.pop()
    try:
        return len(words) == 1 and bool(Color.parse(words[0]))
    except ColorParseError:
        return False


def _is_opaque(value: str) -> bool:
    try:
        color = Color.parse(value)
    except ColorParseError:
        return False
    return color.a == 1.0 and color.ansi is None and not color.auto


def _mistake(path: Path, reason: str) -> ConfigError:
    found = _WHERE.search(reason)
    key = found["key"] if found else ""
    where = f", at {key}" if key else ""
    return ConfigError(
        f"The theme file {path} has a mistake{where}: {_WHERE.sub('', reason)}.",
        "The themes that come with the program show how it is written.",
    )
