"""Every binding of the program, by the part of it where it works."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Final

from textual.binding import BindingType

from playground.screens.keymap import Section, own_bindings

_EVERYWHERE: Final = "Everywhere"
_PARTS: Final = {
    _EVERYWHERE: ("screens.playground:PlaygroundScreen",),
    "Prompt": ("widgets.prompt_editor:PromptEditor",),
    "Transcript": (
        "widgets.token_view:TokenView",
        "widgets.transcript:TranscriptPane",
    ),
    "Sliders": ("widgets.slider:ParamSlider",),
    "Rows of the controls": (
        "widgets.controls:Controls",
        "widgets.option_rows:CycleRow",
        "widgets.rows:SeedInput",
    ),
    "Order of the stages": ("widgets.order_list:OrderList",),
    "Candidates": ("widgets.candidates:CandidateList",),
    "Table of all panes": ("widgets.compare_table:CompareTable",),
    "Plot of watched words": ("widgets.watch_plot:WatchPlot",),
    "Tabs of panes": ("widgets.pane_tabs:PaneTabs",),
    "Setting up a race": ("screens.race_dialog:RaceDialog",),
    "Fanning out": (
        "screens.fan_out_dialog:FanOutDialog",
        "screens.fan_out_dialog:Candidates",
    ),
    "Branches": (
        "screens.branches_screen:BranchesScreen",
        "widgets.branch_tree:BranchTree",
    ),
    "History": ("screens.history_screen:HistoryScreen",),
    "Replies of the history": ("widgets.history_list:HistoryList",),
    "Running a reply again": ("screens.history_replay_screen:HistoryReplayScreen",),
    "Figures of the session": ("screens.figures_screen:FiguresScreen",),
    "Questions": ("screens.choice_dialog:ChoiceDialog",),
    "Choosing a model": ("screens.model_picker:ModelPicker",),
    "A model's facts": ("screens.model_facts_screen:ModelFactsScreen",),
    "Fetching a model": ("screens.pull_dialog:PullDialog",),
    "Choosing a preset": ("screens.preset_picker:PresetPicker",),
    "What was imported": ("screens.preset_report:PresetReport",),
    "Exact prompt": ("screens.prompt_view:PromptScreen",),
    "Choosing a text to score": ("screens.score_dialog:ScoreDialog",),
    "A scored text": ("screens.score_screen:ScoreScreen",),
    "Dialogs with a text": ("screens.text_dialog:TextDialog",),
    "A text in a reply, token by token": ("screens.force_dialog:ForceDialog",),
    "Tokenizers side by side": (
        "screens.tokenizers_screen:TokenizersScreen",
        "widgets.piece_rows:PieceRows",
    ),
    "Setting a sweep up": ("screens.sweep_form:SweepForm",),
    "A sweep": ("screens.sweep_screen:SweepScreen", "widgets.sweep_chart:SweepChart"),
    "Replies of a sweep": ("screens.sweep_replies:SweepReplies",),
    "Earlier sweeps": ("screens.sweep_shelf:SweepShelf",),
    "Help": ("screens.help:HelpScreen",),
    "What guessing ahead gains": ("screens.guessing_dialog:GuessingDialog",),
    "Grammar and JSON schema": ("screens.grammar_dialog:GrammarDialog",),
    "Load and cost": ("screens.load_screen:LoadScreen",),
    "Models under a load": ("widgets.load_table:LoadTable",),
    "Doctor": ("screens.doctor_screen:DoctorScreen",),
}
"""Titles, in the order of the help, and the classes that have the bindings; imported when they are asked for."""


def sections(everywhere: Sequence[BindingType]) -> list[Section]:
    """All of them: for the help, and to check a key map.

    Args:
        everywhere: Bindings of the app itself, which work in every part.
    """
    found = []
    for title, places in _PARTS.items():
        own = list(everywhere) if title == _EVERYWHERE else []
        found.append(Section(title, [*own, *(binding for place in places for binding in own_bindings(_class(place)))]))
    return found


def title_of(screen: type) -> str:
    """The part that a screen is; empty for the main one, and for one without keys of its own."""
    names = {cls.__name__ for cls in screen.__mro__}
    parts = ((title, places) for title, places in _PARTS.items() if title != _EVERYWHERE)
    return next((title for title, places in parts if names & {place.partition(":")[2] for place in places}), "")


def _class(place: str) -> type:
    module, _, name = place.partition(":")
    found: type = getattr(import_module(f"playground.{module}"), name)
    return found
