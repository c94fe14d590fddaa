"""Messages in a Markdown file, as a viewer that knows HTML would read them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from playground.services.markdown_text import message_text

PIECES = (
    *("<script>alert(1)</script>", "<b>", "</b>", "<!--", "-->", "<?x", "<https://a.b>", "a < b", "<", "\\", "\\\\"),
    *(
        "`",
        "``",
        "```",
        "~~~",
        "\n",
        "\n\n",
        "    ",
        "  ",
        "- ",
        "> ",
        "| a | b |",
        "| - | - |",
        "|",
        "# ",
        "1. ",
        "word",
    ),
)


def read(text: str) -> list[Token]:
    """Everything that a viewer sees in it, also what stands in lines."""
    found = []
    for token in MarkdownIt("commonmark", {"html": True}).enable("table").parse(text):
        found += [token, *(token.children or [])]
    return found


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "Look: <script>alert(1)</script> and <img src=x onerror=alert(1)>",
        "- <b>bold</b>",
        "> <b>bold</b>",
        "a `b\nc` <script> `d",
        "a \\` <script> `",
        "- x\n  ```\n<script>",
        "| ` | <script> ` |\n| - | - |\n| ` | <script> ` |",
        "<!--\n\n```\n<b>\n```\n-->",
        "\\\\<b>",
    ],
)
def test_no_tag_comes_through(text: str) -> None:
    assert not [token for token in read(message_text(text)) if token.type.startswith("html")]


@given(st.lists(st.sampled_from(PIECES), max_size=14).map("".join))
@settings(max_examples=300, deadline=None)
def test_however_it_is_put_together(text: str) -> None:
    assert not [token for token in read(message_text(text)) if token.type.startswith("html")]


@pytest.mark.parametrize(
    "text",
    [
        "Use the `<div>` tag, or ``<a `b>``.",
        "```html\n<div>\n```",
        "1. First:\n\n   ```html\n   <div>\n   ```",
        "    <div>",
        "3 < 4 and 5 > 4, x<=y",
        "*stars*, [a link](https://a.b) and \\<b>",
    ],
)
def test_markdown_and_code_stay_as_they_are(text: str) -> None:
    assert message_text(text) == text


def test_what_is_left_open_ends_with_the_message() -> None:
    assert message_text("```\n<b>") == "```\n<b>\n```"
    assert message_text("- x\n\n ~~~~ sh\n~~~\n<b>") == "- x\n\n ~~~~ sh\n~~~\n<b>\n~~~~"


@pytest.mark.parametrize(
    "text",
    [
        "- ```sh\n  ls\n  ```\n- done",
        "1. Run:\n   ~~~~\n   ls\n   ~~~~",
        "- ```sh\n  ls",
        "> ```\n> ls\n> ```",
        "> ```\n> ls",
        "    ```\n    ls",
    ],
)
def test_a_fence_that_ends_by_itself_gets_no_second_end(text: str) -> None:
    assert message_text(text) == text


@given(st.lists(st.sampled_from(PIECES), max_size=14).map("".join))
@settings(max_examples=300, deadline=None)
def test_what_follows_a_message_is_never_taken_for_a_part_of_it(text: str) -> None:
    after = [token for token in read(f"{message_text(text)}\n\n**You**\n\nHello") if token.type == "inline"]
    assert [(token.content, token.level) for token in after[-2:]] == [("**You**", 1), ("Hello", 1)]
