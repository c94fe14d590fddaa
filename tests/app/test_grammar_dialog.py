"""Grammar and JSON schema: edited, checked while they are typed, and in force on the real model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from msgspec import structs
from textual._xterm_parser import XTermParser
from textual.widgets import Static

from playground.backends.base import Capabilities
from playground.domain.messages import Role
from playground.domain.transcript import Turn
from playground.screens.grammar_dialog import GrammarDialog, judge
from playground.screens.grammar_examples import EXAMPLES
from playground.widgets.marked_area import MarkedArea
from playground.widgets.rows import ActionRow
from tests.app.support import FakeBackend, Player, make_app, playing

ONE_OF_TWO = 'root ::= "Certainly." | "Never."'


async def open_dialog(player: Player) -> GrammarDialog:
    await player.press("alt+y")
    await player.until(lambda: isinstance(player.app.screen, GrammarDialog), "dialog open")
    dialog = player.app.screen
    assert isinstance(dialog, GrammarDialog)
    return dialog


def from_terminal(player: Player, sequence: str) -> None:
    """What a terminal without the kitty protocol sends."""
    for event in (*(parser := XTermParser()).feed(sequence), *parser.feed("")):
        player.app.post_message(event)


def verdict(dialog: GrammarDialog) -> str:
    return str(dialog.query_one("#grammar-verdict", Static).content)


async def hold(player: Player, text: str, *, schema: bool = False) -> None:
    """Put a text in force."""
    dialog = await open_dialog(player)
    if schema != (dialog._kind == "json_schema"):
        await player.press("ctrl+t")
    dialog.query_one(MarkedArea).load_text(text)
    await player.press("ctrl+s")
    await player.until(lambda: player.app.screen is player.screen, "dialog closed")


def reply(player: Player) -> Turn:
    turn = player.pane.session.transcript.last(Role.ASSISTANT)
    assert turn is not None
    return turn


@pytest.mark.usefixtures("no_model")
async def test_keys_with_alt_are_no_letters() -> None:
    async with playing(make_app()) as player:
        await player.attach(FakeBackend((b"One",)))
        dialog = await open_dialog(player)
        area = dialog.query_one(MarkedArea)
        for sequence in ("\x1bz", "\x1b9", "a"):
            from_terminal(player, sequence)
        await player.until(lambda: area.text, "a letter typed")
        assert area.text == "a"
        from_terminal(player, "\x1b2")
        await player.until(lambda: area.text != "a", "an example put there")
        assert area.text == EXAMPLES["grammar"][1].text


async def test_a_mistake_is_told_and_marked_while_it_is_typed(starter_gguf: Path) -> None:
    async with playing(make_app(model=str(starter_gguf))) as player:
        await player.ready()
        dialog = await open_dialog(player)
        area = dialog.query_one(MarkedArea)
        assert "held to nothing" in verdict(dialog)
        await player.press(*"root", "space", *"::=", "space", "quotation_mark", *"yes")
        await player.until(lambda: "Line 1, column 10" in verdict(dialog), "mistake told")
        assert "this quote is never closed" in verdict(dialog)
        assert area.get_line(0).spans[0].start == 9
        await player.press("ctrl+s")
        assert player.app.screen is dialog, "a mistake is not taken"
        assert area.cursor_location == (0, 9)
        await player.press("end", "quotation_mark")
        await player.until(lambda: "can be used" in verdict(dialog), "mistake mended")
        assert "with the next reply" in verdict(dialog)
        assert not area.get_line(0).spans
        await player.press("escape")
        await player.until(lambda: player.app.screen is player.screen, "left")
        assert player.pane.session.params.grammar == ""


async def test_a_reply_keeps_to_the_grammar_and_the_row_says_so(starter_gguf: Path) -> None:
    async with playing(make_app("seed=3", "max_tokens=12", model=str(starter_gguf))) as player:
        await player.ready()
        await hold(player, ONE_OF_TWO)
        await player.until(lambda: player.pane.session.params.grammar == ONE_OF_TWO, "in force")
        row = player.screen.controls.query_one("#controls-grammar", ActionRow)
        await player.until(lambda: "GBNF" in row.render_line(0).text, "row tells")
        await player.ask("Is water wet?")
        assert reply(player).content in ("Certainly.", "Never.")
        first = reply(player).tokens[0]
        assert first.stages[0].name == "grammar"
        assert first.stages[0].candidates < 20
        assert first.stages[0].mass < 1.0
        removed = [one for one in first.top if one.cut_by == 0]
        assert removed
        await player.press("ctrl+t", "home")
        await player.until(lambda: "% grammar" in player.text, "candidates tell what removed them")
        await hold(player, "")
        await player.until(lambda: player.pane.session.params.grammar == "", "off")
        dialog = await open_dialog(player)
        assert dialog.query_one(MarkedArea).text == ONE_OF_TWO, "a text that is not in force is not lost"


async def test_a_schema_takes_the_grammars_place_and_the_reply_is_json(starter_gguf: Path) -> None:
    schema = json.dumps({"type": "object", "properties": {"n": {"enum": [1, 2]}}, "required": ["n"]})
    async with playing(make_app("seed=3", "max_tokens=40", f"grammar={ONE_OF_TWO}", model=str(starter_gguf))) as player:
        await player.ready()
        await hold(player, schema, schema=True)
        await player.until(lambda: player.pane.session.params.json_schema == schema, "in force")
        assert player.pane.session.params.grammar == ""
        await player.press("f6")
        await player.pilot.pause()
        await player.press("down", "enter")
        await player.until(lambda: player.app.screen is player.screen, "preset chosen")
        await player.ask("A number?")
        assert player.pane.session.params.json_schema == schema, "a preset leaves it alone"
        assert json.loads(reply(player).content)["n"] in (1, 2)


async def test_a_grammar_set_in_mid_reply_holds_the_rest_or_waits_for_its_end(starter_gguf: Path) -> None:
    async with playing(make_app("seed=3", "max_tokens=400", "ignore_eos=true", model=str(starter_gguf))) as player:
        await player.ready()
        await player.say("Tell me a long story.")
        await player.tokens(3)
        await hold(player, "root ::= [^z]*")
        await player.until(lambda: reply(player).marks, "a mark in the transcript")
        assert reply(player).marks[0].text == "grammar on"
        await hold(player, ONE_OF_TWO)
        await player.until(lambda: "does not fit the grammar" in player.notices, "told")
        assert "It waits for the end of this reply" in player.notices
        assert player.pane.session.busy
        await player.press("escape")
        await player.answered()
        await player.until(lambda: player.pane.session.params.grammar == ONE_OF_TWO, "in force after the reply")


@pytest.mark.parametrize(
    ("grammar", "said"),
    [
        ('root ::= root "a" | "b"', "can begin with itself"),
        ('root ::= "ab" root', "No text is ever complete"),
        ("root ::= " + "(" * 1500 + '"a"' + ")" * 1500, "groups are 1000 deep"),
        ("x" * 200_001, "200,001 characters"),
    ],
)
def test_grammars_without_end_and_those_too_big_get_a_sentence(grammar: str, said: str) -> None:
    assert said in judge("grammar", grammar).text


async def test_a_grammar_that_allows_nothing_ends_the_reply_with_a_sentence(starter_gguf: Path) -> None:
    nothing = r"root ::= [^\x00-\U0010FFFF]"
    async with playing(make_app(f"grammar={nothing}", "max_tokens=8", model=str(starter_gguf))) as player:
        await player.ready()
        await player.ask("Hello")
        assert "The grammar allows no token of this model here." in player.transcript.replace("\n", " ")
        await hold(player, "")
        await player.until(lambda: player.pane.session.params.grammar == "", "off")
        await player.run("ctrl+r")
        assert reply(player).tokens


@pytest.mark.usefixtures("no_model")
async def test_a_model_that_takes_neither_says_why() -> None:
    class Free(FakeBackend):
        @property
        def capabilities(self) -> Capabilities:
            able = super().capabilities
            params = able.params - {"grammar", "json_schema"}
            return structs.replace(able, params=params, reasons={"params": "This server lets replies run free."})

    async with playing(make_app()) as player:
        await player.attach(Free([b"a"]))
        await player.press("alt+y")
        await player.until(lambda: "This server lets replies run free." in player.notices, "reason told")
        assert player.app.screen is player.screen


async def test_what_of_a_schema_is_not_held_is_a_note_and_no_mistake(starter_gguf: Path) -> None:
    schema = '{"type": "string",\n "format": "email"}'
    async with playing(make_app(model=str(starter_gguf))) as player:
        await player.ready()
        dialog = await open_dialog(player)
        await player.press("ctrl+t")
        area = dialog.query_one(MarkedArea)
        area.load_text(schema)
        await player.until(lambda: "may break format (line 2, at $)" in verdict(dialog), "note shown")
        await player.press("f2")
        assert area.cursor_location == (1, 11)
        await player.press("ctrl+s")
        await player.until(lambda: player.pane.session.params.json_schema == schema, "taken all the same")
