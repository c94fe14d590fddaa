"""Theme files, the palette made from them, and that every token can be read on its colour."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.color import Color as RichColor
from rich.style import Style
from textual.app import App, ComposeResult
from textual.color import Color
from textual.theme import Theme
from textual.widgets import Static

from playground.theming import MIN_CONTRAST, load_theme, load_themes, token_palette, variable_defaults
from playground.widgets.colour_scale import LEVELS, PALETTE_SIZE, TokenStyle

FOLDER = Path(__file__).parents[2] / "themes"
THEMES, ERRORS = load_themes([FOLDER])
EMBER = (FOLDER / "ember.toml").read_text(encoding="utf-8")
hex_colors = st.integers(0, 0xFFFFFF).map("#{:06x}".format)


def variables(theme: Theme) -> dict[str, str]:
    return {**theme.to_color_system().generate(), **theme.variables}


def luminance(color: RichColor | None) -> float:
    assert color is not None
    assert color.triplet is not None
    parts = [part / 255 for part in color.triplet]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: RichColor | None, other: RichColor | None) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def scale_contrasts(palette: list[Style]) -> list[float]:
    return [contrast(style.color, style.bgcolor) for style in palette[:LEVELS]]


def test_the_themes_that_come_with_the_program_are_whole() -> None:
    assert not ERRORS
    assert {name for name, theme in THEMES.items() if theme.dark} == {"ember", "lagoon", "beacon", "meridian"}
    assert {name for name, theme in THEMES.items() if not theme.dark} == {"parchment"}


@pytest.mark.parametrize("name", sorted(THEMES))
def test_every_token_can_be_read(name: str) -> None:
    known = variables(THEMES[name])
    palette = token_palette(known)
    assert len(palette) == PALETTE_SIZE
    assert min(scale_contrasts(palette)) >= MIN_CONTRAST
    background = RichColor.parse(known["background"])
    for style in TokenStyle:
        assert contrast(palette[style].color, background) >= MIN_CONTRAST, style
    for ground in ("background", "surface"):
        quiet = Color.parse(known[ground]).blend(Color.parse(known["foreground"]), 0.7)
        assert contrast(quiet.rich_color, RichColor.parse(known[ground])) >= MIN_CONTRAST, ground


@pytest.mark.parametrize("name", sorted(THEMES))
def test_calm_tokens_rest_near_the_background_and_surprising_ones_stand_out(name: str) -> None:
    known = variables(THEMES[name])
    palette = token_palette(known)
    background = RichColor.parse(known["background"])
    calm, wild = palette[LEVELS - 1].bgcolor, palette[0].bgcolor
    assert calm != background
    assert contrast(calm, background) < 1.2
    assert contrast(wild, background) > 2.5


def test_the_scale_for_any_colour_vision_only_grows_lighter() -> None:
    palette = token_palette(variables(THEMES["meridian"]))
    lightness = [luminance(style.bgcolor) for style in palette[:LEVELS]]
    assert all(calmer < wilder for wilder, calmer in pairwise(lightness))


@settings(deadline=None)
@given(st.lists(hex_colors, min_size=5, max_size=5), hex_colors, hex_colors)
def test_text_is_readable_on_any_scale_a_file_may_ask_for(anchors: list[str], text: str, background: str) -> None:
    known = variables(THEMES["ember"]) | {"token-foreground": text, "background": background}
    known |= {f"prob-{number}": anchor for number, anchor in enumerate(anchors)}
    assert min(scale_contrasts(token_palette(known))) >= MIN_CONTRAST


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('prob-2 = "#7d2d2f"', "", "`prob-2`"),
        ('prob-2 = "#7d2d2f"', 'prob-2 = "no colour"', "at tokens.prob-2"),
        ('prob-2 = "#7d2d2f"', 'prob-2 = "#7d2d2f80"', "at tokens.prob-2"),
        ('prob-2 = "#7d2d2f"', 'prob-2 = "ansi_red"', "at tokens.prob-2"),
        ('prob-2 = "#7d2d2f"', "prob-2 = 5", "at tokens.prob-2"),
        ('prob-2 = "#7d2d2f"', 'prob-2 = "#7d2d2f"\nprob-9 = "red"', "`prob-9`"),
        ('primary = "#f0a35e"', 'primary = "auto"', "at colors.primary"),
        ('name = "ember"', 'name = "My Theme"', "at name"),
        ("dark = true", 'dark = "yes"', "at dark"),
        ("[colors]", "[colours]", "colours"),
        ('border = "#f0a35e"', 'border = "}; Screen { display: none"', "at variables.border"),
        ("[colors]", "[colors", "cannot be read"),
    ],
)
def test_a_broken_file_is_named_with_its_key_and_passed_over(tmp_path: Path, old: str, new: str, told: str) -> None:
    assert old in EMBER
    broken = tmp_path / "broken.toml"
    broken.write_text(EMBER.replace(old, new, 1), encoding="utf-8")
    (tmp_path / "good.toml").write_text(EMBER.replace("ember", "good", 1), encoding="utf-8")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    themes, errors = load_themes([tmp_path / "missing", tmp_path])
    assert len(themes) == 1
    assert [error.exit_status for error in errors] == [2, 2]
    assert "binary.toml" in errors[0].message
    assert str(broken) in errors[1].message
    assert told in errors[1].message


def test_a_later_folder_replaces_a_theme_of_the_same_name(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(EMBER.replace('"#15110f"', '"#000000"', 1), encoding="utf-8")
    themes, errors = load_themes([FOLDER, tmp_path])
    assert not errors
    assert themes["ember"].background == "#000000"


def test_a_foreign_theme_borrows_from_one_as_dark_as_it_is() -> None:
    assert variable_defaults(THEMES, dark=False)["prob-4"] == THEMES["parchment"].variables["prob-4"]
    assert variable_defaults({"parchment": THEMES["parchment"]}, dark=True)["mark"]
    assert variable_defaults({}, dark=True) == {}


@pytest.mark.parametrize("name", [*sorted(THEMES), "nord", "textual-light", "ansi-dark"])
async def test_the_stylesheet_takes_every_theme(name: str) -> None:
    class Host(App[None]):
        CSS = "Static { color: $role-user; background: $prob-0; border: round $border; }"

        def get_theme_variable_defaults(self) -> dict[str, str]:
            return variable_defaults(THEMES, self.current_theme.dark)

        def compose(self) -> ComposeResult:
            yield Static("text")

    app = Host()
    for theme in THEMES.values():
        app.register_theme(theme)
    async with app.run_test() as pilot:
        app.theme = name
        await pilot.pause()
        assert len(token_palette(app.theme_variables)) == PALETTE_SIZE


def test_one_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "plain.toml"
    path.write_text(EMBER.partition("[variables]")[0], encoding="utf-8")
    assert load_theme(path).name == "ember"
