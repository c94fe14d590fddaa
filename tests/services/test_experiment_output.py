"""Tables and curves: every figure arrives, and nothing foreign can do harm."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from playground.domain.experiment_groups import Group
from playground.services.experiment_output import (
    ROUNDING,
    csv_table,
    markdown_table,
    rounding_note,
    table,
    write_outputs,
)
from playground.services.experiment_plots import Chart, Curve, axis_for, chart_of, draw
from playground.services.experiment_svg import svg
from tests.domain.test_experiments import make_sweep, reply
from tests.services.experiment_support import make_sweep as sweep_of

EVIL = 'x"><script>alert(1)</script>|\x1b[31m\x00`a`'


def group(**changes: Any) -> Group:
    values: dict[str, Any] = {
        "model": "/models/a.gguf",
        "prompt": "p",
        "preset": "balanced",
        "values": {"temperature": 0.5},
        "samples": 4,
        "failed": 0,
        "consistency": 0.25,
        "distinct_1": 0.5,
        "distinct_2": 0.75,
        "distinct_3": None,
        "tokens": 16.0,
        "perplexity": None,
        "reasons": {"stop": 3, "length": 1},
        "cost": None,
        "ttft_p50_ms": 12.0,
        "ttft_p95_ms": 20.0,
        "speed_p50": None,
        "speed_p5": None,
    }
    return Group(**(values | changes))


def test_csv_has_every_figure_and_leaves_the_unknown_empty() -> None:
    rows = list(csv.DictReader(io.StringIO(csv_table([group(prompt='a,"b"\nc'), group(values={"top_k": 40.0})]))))
    assert rows[0]["prompt"] == 'a,"b" c'
    assert (rows[0]["temperature"], rows[0]["top_k"], rows[0]["consistency"]) == ("0.5", "", "0.25")
    assert (rows[1]["temperature"], rows[1]["top_k"]) == ("", "40.0")
    assert (rows[0]["perplexity"], rows[0]["cost"], rows[0]["reasons"]) == ("", "", "stop 3, length 1")


def test_markdown_draws_the_unknown_as_such_and_shows_foreign_text_as_it_is() -> None:
    text = markdown_table([group(prompt=EVIL, failed=2)], "words")
    header, rule, row, _, note = text.splitlines()
    assert header.count("|") == rule.count("|") == row.replace("\\|", "").count("|")
    assert "<script" not in text
    assert "\x1b" not in text
    assert "4 (2 failed)" in row
    assert "–" in row
    assert "words" in note


def test_a_table_for_a_terminal_leaves_out_what_is_always_the_same() -> None:
    assert table([group(), group()], brief=True)[0][0] == "temperature"
    assert table([group(), group(model="box/b")], brief=True)[0][0] == "model"
    assert table([group(), group(model="box/b")], brief=True)[1][0][0] == "a"


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        ([0.0, 1.5], (0.0, 0.5, 1.0, 1.5)),
        ([0.03, 0.97], (0.0, 0.25, 0.5, 0.75, 1.0)),
        ([100.0, 900.0], (0.0, 200.0, 400.0, 600.0, 800.0, 1000.0)),
        ([0.0], (-1.0, -0.5, 0.0, 0.5, 1.0)),
    ],
)
def test_an_axis_has_round_numbers_and_holds_every_value(values: list[float], ticks: tuple[float, ...]) -> None:
    axis = axis_for(values, 5)
    assert axis.ticks == ticks
    assert all(0.0 <= axis.share(value) <= 1.0 for value in values)


def test_an_axis_of_equal_values_has_room_around_them() -> None:
    axis = axis_for([3.7, 3.7], 4)
    assert axis.low < 3.7 < axis.high


def test_curves_go_by_preset_model_and_the_other_parameters_and_prompts_are_averaged() -> None:
    found = [
        group(values={"temperature": heat, "top_p": p}, prompt=prompt, preset=preset, consistency=value)
        for heat, value in ((0.0, 1.0), (1.0, 0.5))
        for p in (0.9, 1.0)
        for prompt in ("a", "b")
        for preset in ("x", "y")
    ]
    found[0] = group(values={"temperature": 0.0, "top_p": 0.9}, prompt="a", preset="x", consistency=0.0)
    chart = chart_of(found, "consistency")
    assert chart is not None
    assert [curve.name for curve in chart.curves] == ["x, top_p 0.9", "y, top_p 0.9", "x, top_p 1", "y, top_p 1"]
    assert chart.curves[0].points == ((0.0, 0.5), (1.0, 0.5))
    assert chart.x_label == "temperature"
    assert chart_of(found, "perplexity") is None


def test_presets_without_a_range_are_bars_that_begin_at_nothing() -> None:
    found = [group(values={}, preset=name, consistency=value) for name, value in (("x", 0.5), ("longer", 1.0))]
    chart = chart_of(found, "consistency")
    assert chart is not None
    _, short, long = ("".join(piece.text for piece in line) for line in draw(chart, 60, 10))
    assert short.startswith("x      █")
    assert short.endswith(" 0.5")
    assert long.count("█") == 2 * short.count("█") == 44
    root = ElementTree.fromstring(svg(chart))
    widths = [float(element.get("width", "0")) for element in root.iter() if element.tag.endswith("rect")]
    assert widths[2] == 2 * widths[1]


def test_a_drawing_keeps_its_size_and_marks_every_point() -> None:
    curves = (Curve("up", ((0.0, 0.0), (1.0, 1.0))), Curve("down", ((0.0, 1.0), (0.5, 0.9), (1.0, 0.0))))
    lines = ["".join(piece.text for piece in line) for line in draw(Chart("t", "x", "y", curves), 60, 10)]
    assert all(len(line) <= 60 for line in lines)
    plot = lines[1:11]
    assert "".join(plot).count("●") == 2
    assert "".join(plot).count("▲") == 3
    assert plot[0].rstrip().endswith("●")
    assert plot[0].split("┤")[1].startswith("▲")
    assert plot[-1].split("┤")[1].startswith("●")
    assert plot[-1].rstrip().endswith("▲")
    assert [float(line.split("┤")[0]) for line in plot if "┤" in line] == [1.0, 0.5, 0.0]
    assert lines[12].split() == ["0", "0.25", "0.5", "0.75", "1"]
    assert lines[-1] == "     ● up     ▲ down"


@pytest.mark.parametrize(("width", "height"), [(1, 1), (30, 4), (200, 60)])
def test_whatever_the_size_something_is_drawn(width: int, height: int) -> None:
    chart = Chart("t", "x", "y", (Curve("one", ((0.0, 5.0),)),))
    assert any("●" in piece.text for line in draw(chart, width, height) for piece in line)


def test_svg_is_well_formed_and_shows_foreign_text_as_text() -> None:
    text = svg(Chart(EVIL, EVIL, EVIL, (Curve(EVIL, ((0.0, 1.0), (1.0, 2.0))), Curve("b", ((0.5, 1.5),)))))
    root = ElementTree.fromstring(text)
    tags = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert tags == {"svg", "title", "rect", "line", "text", "g", "polyline", "circle"}
    assert any("<script>alert(1)</script>" in (element.text or "") for element in root.iter())
    assert len([element for element in root.iter() if element.tag.endswith("circle")]) == 3
    numbers = {element.text for element in root.iter() if element.tag.endswith("text")}
    assert {"0", "0.2", "1", "1.8", "2"} <= numbers


def test_everything_is_written_and_a_folder_that_cannot_be_is_told(tmp_path: Path) -> None:
    sweep = make_sweep(models=("/a.gguf",))
    results = {cell.id: reply(sweep, cell, [1, 2, 3]) for cell in sweep.cells}
    names = {path.name for path in write_outputs(tmp_path, sweep, results)}
    assert {"groups.csv", "groups.md", "consistency.svg", "distinct_3.svg", "tokens.svg"} <= names
    assert "perplexity.svg" not in names, "nobody knows it here"
    assert write_outputs(tmp_path / "none", sweep, {}) == []


def test_differences_at_temperature_0_are_explained_and_no_others() -> None:
    sweep = sweep_of("m", ranges=["temperature=0,0.8"])
    cold, warm = ({"temperature": at} for at in (0.0, 0.8))

    def found(*consistencies: float | None) -> list[Group]:
        settings = zip((cold, warm), consistencies, strict=True)
        return [group(preset="neutral", values=values, consistency=one) for values, one in settings]

    assert rounding_note(sweep, found(0.697, 0.4)) == ROUNDING
    assert rounding_note(sweep, found(1.0, 0.4)) == rounding_note(sweep, found(None, 0.4)) == ""
