"""Keys, palette, help and mouse: every action can be found, named, and given another key."""

from __future__ import annotations

import pytest
from textual._ansi_sequences import ANSI_SEQUENCES_KEYS
from textual.binding import Binding

from playground.app import PlaygroundApp
from playground.commands import PlaygroundCommands
from playground.screens.help import HelpScreen
from playground.screens.keymap import key_names, own_bindings
from playground.screens.preset_picker import PresetPicker
from playground.screens.sections import sections
from playground.screens.text_dialog import TextDialog
from playground.services.paths import user_config_dir
from playground.services.presets import load_presets
from playground.widgets.candidates import CandidateList
from playground.widgets.controls import Controls
from playground.widgets.key_bar import KeyBar
from playground.widgets.slider import ParamSlider
from playground.widgets.terminal_keys import free_alt_digits
from playground.widgets.token_view import TokenView
from tests.app.support import FakeBackend, make_app, playing

pytestmark = pytest.mark.usefixtures("no_model")

ALL = [(section, binding) for section in sections(PlaygroundApp.BINDINGS) for binding in section.bindings]


def test_every_binding_has_an_id_and_an_explanation() -> None:
    for section, binding in ALL:
        assert isinstance(binding, Binding)
        assert binding.id, f"{section.title}: {binding.action}"
        assert binding.tooltip, binding.id
        assert binding.description, binding.id
    ids = [binding.id for _, binding in ALL if isinstance(binding, Binding)]
    assert len(ids) == len(set(ids))


def test_no_key_is_one_that_a_terminal_without_the_kitty_protocol_sends_for_another() -> None:
    free_alt_digits()
    for _, binding in ALL:
        assert isinstance(binding, Binding)
        for key in key_names(binding.key):
            modifiers, _, last = key.rpartition("+")
            if modifiers == "alt" and len(last) == 1:
                assert f"\x1b{last}" not in ANSI_SEQUENCES_KEYS, f"{key} of {binding.id}"


def test_within_a_part_no_key_has_two_meanings() -> None:
    for section in sections(PlaygroundApp.BINDINGS):
        keys = [key for binding in section.described for key in binding.key.split(",")]
        doubled = {key for key in keys if keys.count(key) > 1}
        assert doubled <= {"enter"}, section.title


WITHIN = {
    *(f"panes.{number}" for number in range(2, 6)),
    *(f"{part}.take_{number}" for part in ("token", "candidates") for number in range(2, 10)),
    *(f"fan_out.best_{number}" for number in range(3, 6)),
    "grammar.example_2",
}
"""Digits between the first and the last one of a line of the help."""


def test_every_class_with_bindings_is_in_the_help() -> None:
    import importlib
    import pkgutil

    import playground

    named = {id(binding) for _, binding in ALL}
    for part in ("widgets", "screens"):
        package = importlib.import_module(f"playground.{part}")
        for found in pkgutil.iter_modules(package.__path__):
            module = importlib.import_module(f"playground.{part}.{found.name}")
            for cls in vars(module).values():
                if isinstance(cls, type) and cls.__module__ == module.__name__:
                    assert all(id(binding) in named for binding in cls.__dict__.get("BINDINGS", ())), cls
    assert playground.__version__


async def test_the_help_lists_every_binding_with_the_key_it_really_has() -> None:
    folder = user_config_dir()
    folder.mkdir(parents=True)
    (folder / "settings.toml").write_text('[keymap]\n"chat.colour" = "f13"\n')
    async with playing(make_app(), size=(120, 800)) as player:
        await player.press("f1")
        assert isinstance(player.app.screen, HelpScreen)
        text = player.text
        for section, binding in ALL:
            assert isinstance(binding, Binding)
            if binding.key.rpartition("+")[2].isdigit() and f"{binding.id} …" not in text:
                assert f"… {(binding.id or '').rpartition('.')[2]} " in text or binding.id in WITHIN, section.title
            else:
                assert f" {binding.id} " in text, section.title
        row = next(line for line in text.splitlines() if "chat.colour" in line)
        assert "f13" in row
        for word in ("copies it as plain text", "entropy", "repeat penalty", "min-p"):
            assert word in text
        await player.press("f1")
        assert not isinstance(player.app.screen, HelpScreen)


async def test_the_help_finds_what_is_typed_and_begins_with_the_figures() -> None:
    for size in ((80, 24), (120, 40)):
        async with playing(make_app(), size=size) as player:
            await player.press("f1")
            await player.until(lambda: "What the figures mean" in player.text, "the figures first")
            await player.press("pagedown", "pagedown", "pagedown")
            await player.until(lambda: "What the figures mean" not in player.text, "scrolled")
            await player.press("home")
            await player.until(lambda: "What the figures mean" in player.text, "at the top")
            await player.press("end")
            await player.until(lambda: "What the figures mean" not in player.text, "at the end")
            await player.press(*"rac")
            await player.until(lambda: "Race presets: one prompt" in player.text, "found")
            assert "entropy" not in player.text
            await player.press("ctrl+u", *"candidate take this")
            await player.until(lambda: "1-0" in player.text, "ten digits on one line")
            assert player.text.count("Take this candidate") == 1
            await player.press("ctrl+u")
            await player.until(lambda: "What the figures mean" in player.text, "all of it again")
            await player.press("escape")
            assert not isinstance(player.app.screen, HelpScreen)


async def test_the_help_begins_where_one_is() -> None:
    async with playing(make_app()) as player:
        await player.press("alt+c", "f1")
        await player.until(lambda: isinstance(player.app.screen, HelpScreen), "help")
        await player.until(lambda: "Everywhere" not in player.text, "the part of the history at the top")
        assert "history.search" in player.text


async def test_a_key_of_ones_own_takes_the_place_of_the_old_one() -> None:
    folder = user_config_dir()
    folder.mkdir(parents=True)
    (folder / "settings.toml").write_text('[keymap]\n"chat.colour" = "f13"\n"prompt.send" = "f11"\n')
    async with playing(make_app()) as player:
        await player.attach(FakeBackend([b"Hi"]))
        await player.press("f13")
        assert "entropy" in player.text
        await player.press("f4")
        assert player.pane.transcript.mode == "entropy"
        await player.press("a", "enter", "b")
        assert player.screen.editor.text == "a\nb"
        await player.run("f11")
        assert "You\na\nb" in player.transcript
        assert "f13 Colour" in player.text


@pytest.mark.parametrize("width", [30, 60, 80, 100, 120, 200])
async def test_the_help_key_is_at_the_foot_at_every_width_and_no_key_is_cut(width: int) -> None:
    async with playing(make_app(), size=(width, 24)) as player:
        foot = player.screen.query_one(KeyBar).render_line(0).text
        assert "f1 Help" in foot
        labels = {binding.description for _, binding in ALL if isinstance(binding, Binding)}
        for entry in foot.strip().split("  "):
            assert entry.strip().split(" ", 1)[1] in labels
        await player.pilot.click(KeyBar, offset=(2, 0))
        assert isinstance(player.app.screen, HelpScreen)


async def test_every_action_preset_theme_and_colour_is_in_the_palette() -> None:
    async with playing(make_app()) as player:
        provider = PlaygroundCommands(player.screen)
        names = {str(hit.prompt) async for hit in provider.discover()}
        for preset in load_presets()[0]:
            assert f"Preset: {preset}" in names
        for theme in ("ember", "lagoon", "parchment", "beacon", "meridian"):
            assert f"Theme: {theme}" in names
        assert {"Colour: probability", "Colour: entropy", "Colour: rank", "Colour: off"} <= names
        for binding in [*own_bindings(type(player.app)), *own_bindings(type(player.screen))]:
            assert isinstance(binding, Binding)
            assert binding.description in names or binding.action == "command_palette"


@pytest.mark.parametrize(
    ("typed", "seen"), [("preset: creative", "creative"), ("theme: parchment", ""), ("colour: rank", "rank")]
)
async def test_the_palette_does_what_it_says(typed: str, seen: str) -> None:
    async with playing(make_app()) as player:
        await player.press("ctrl+p")
        await player.press(*({":": "colon", " ": "space"}.get(char, char) for char in typed))
        await player.until(lambda: typed in player.text.lower(), "found")
        await player.press("enter")
        if "theme" in typed:
            await player.until(lambda: player.app.theme == "parchment", "theme")
        await player.until(lambda: seen in player.text, "done")


async def test_every_key_of_the_screen_works_while_the_prompt_has_the_focus() -> None:
    async with playing(make_app()) as player:
        await player.attach(FakeBackend([b"Hi", b" you"]))
        await player.write("two\nlines")
        await player.press("f6")
        assert isinstance(player.app.screen, PresetPicker)
        assert "Watch for" in player.text
        await player.press("down", "enter")
        await player.until(lambda: "creative" in player.text, "preset")
        await player.press("f7")
        await player.until(lambda: player.pane.session.mode == "raw", "raw")
        await player.press("f2")
        assert not player.screen.query_one("#controls").display
        await player.press("f2", "f3")
        assert not player.screen.query_one("#inspector").display
        assert player.screen.editor.text == "two\nlines"


async def test_sliders_work_by_key_by_mouse_and_by_number() -> None:
    async with playing(make_app()) as player:
        await player.attach(FakeBackend([b"Hi"]))
        slider = player.screen.query_one("#param-temperature", ParamSlider)
        slider.focus()
        await player.press("right")
        await player.until(lambda: player.pane.session.params.temperature == 0.85, "key")
        assert "balanced*" in player.text
        await player.press(*"1.234", "enter")
        await player.until(lambda: player.pane.session.params.temperature == 1.234, "number")
        await player.pilot.click(slider, offset=(17, 0))
        await player.until(lambda: player.pane.session.params.temperature not in (1.234, 0.8), "mouse")
        await player.pilot.click(slider, offset=(3, 0), times=2)
        await player.until(lambda: player.pane.session.params.temperature == 0.8, "double click")
        assert "balanced*" not in player.text
        await player.press(*"77", "enter")
        await player.until(lambda: "goes from 0 to 5" in player.notices, "refused")
        assert player.pane.session.params.temperature == 0.8


async def test_stop_strings_and_biases_are_edited_in_a_dialog_that_says_what_is_wrong() -> None:
    async with playing(make_app()) as player:
        await player.attach(FakeBackend([b"Hi"]))
        controls = player.screen.query_one(Controls)
        controls.post_message(Controls.EditRequested(controls, "logit_bias"))
        await player.until(lambda: isinstance(player.app.screen, TextDialog), "dialog")
        await player.press(*"nonsense", "ctrl+s")
        assert "does not end in a number" in player.text
        await player.press("space", "2", "ctrl+s")
        await player.until(lambda: player.pane.session.params.logit_bias == {"nonsense": 2.0}, "taken")
        controls.post_message(Controls.EditRequested(controls, "stop"))
        await player.until(lambda: isinstance(player.app.screen, TextDialog), "dialog")
        await player.press(*"END", "ctrl+s")
        await player.until(lambda: player.pane.session.params.stop == ("END",), "taken")


async def test_the_sliders_can_be_saved_as_a_preset() -> None:
    async with playing(make_app("temperature=1.5")) as player:
        await player.press("ctrl+s")
        await player.press(*"mine", "enter")
        await player.until(lambda: "mine" in load_presets()[0], "saved")
        assert load_presets()[0]["mine"].params.temperature == 1.5
        await player.until(lambda: "preset      mine" in player.text, "in force")


async def test_a_candidate_is_reached_from_its_token() -> None:
    async with playing(make_app()) as player:
        await player.attach(FakeBackend([b"one", b" two"]))
        await player.ask("Hi")
        await player.press("ctrl+t", "enter", "down")
        assert player.screen.query_one(CandidateList).cursor == 1


async def test_the_foot_follows_the_focus() -> None:
    async with playing(make_app()) as player:
        foot = player.screen.query_one(KeyBar)
        await player.attach(FakeBackend([b"one", b" two"]))
        await player.ask("Hi")
        await player.press("ctrl+t")
        await player.until(lambda: "Force a text" in foot.render_line(0).text, "tokens")
        await player.press("enter")
        await player.until(lambda: "+ Likelier" in foot.render_line(0).text, "candidates")
        await player.press("ctrl+o")
        await player.until(lambda: "0-9 ⏎ Exact" in foot.render_line(0).text, "sliders")
        await player.press("escape")
        await player.until(lambda: player.focus_is(CandidateList), "back to where one was")


async def test_the_keys_of_tokens_are_at_the_foot_while_a_reply_is_written() -> None:
    async with playing(make_app()) as player:
        model = FakeBackend([b"one", b" two", b" three"], hold_after=2)
        await player.attach(model)
        await player.say("Hi")
        await player.tokens(2)
        await player.press("ctrl+t")
        await player.until(lambda: "esc Stop  ⏎ Candidates  1-0 Take" in player.text, "both")
        model.let_go.set()
        await player.answered()


async def test_the_sliders_are_reached_from_anywhere_and_left_again() -> None:
    async with playing(make_app(), size=(80, 24)) as player:
        await player.attach(FakeBackend([b"one", b" two"]))
        await player.ask("Hi")
        await player.press("ctrl+t", "ctrl+o")
        await player.until(lambda: player.focus_is(ParamSlider), "there")
        assert player.app.focused is not None
        assert player.app.focused.name == "temperature"
        await player.press("right", "backspace", "escape")
        await player.until(lambda: player.focus_is(TokenView), "back on the token")
        assert not player.screen.controls.display, "they came for a moment"
        assert player.screen.inspector.display
        await player.press("f2")
        await player.until(lambda: player.focus_is(ParamSlider), "F2 brings the focus")
        await player.press("f2")
        await player.until(lambda: player.focus_is(TokenView), "and takes it back")


async def test_with_two_panes_a_token_brings_the_inspector_where_there_is_room() -> None:
    async with playing(make_app()) as player:
        await player.attach(FakeBackend([b"one", b" two"]))
        await player.add_pane(FakeBackend([b"one", b" two"]))
        await player.ask_all("Hi")
        assert not player.screen.inspector.display
        await player.press("ctrl+t")
        await player.until(lambda: "pinned" in player.text, "it came")
        await player.press("f3", "left", "right")
        await player.until(lambda: "F3 shows what else could stand here." in player.notices, "said")
        assert not player.screen.inspector.display, "who hid it wants it hidden"
        await player.press("left")
        assert player.notices.count("F3 shows") == 1
        await player.press("enter")
        await player.until(lambda: player.focus_is(CandidateList), "the list")
        assert player.screen.inspector.display


async def test_a_notice_is_painted_once_when_a_dialog_opens() -> None:
    async with playing(make_app()) as player:
        player.screen.notify("Once is enough.", timeout=60)
        await player.until(lambda: "Once is enough." in player.text, "seen")
        await player.press("f6")
        await player.until(lambda: isinstance(player.app.screen, PresetPicker), "dialog")
        await player.until(lambda: player.text.count("Once is") == 1, "in the dialog, and not below")
        await player.press("escape")
        await player.until(lambda: "Once is enough." in player.text, "still there")
