"""Texts on which one sees that tokens are not words."""

from __future__ import annotations

from typing import Final, NamedTuple


class Example(NamedTuple):
    """A text, and what to look at in it."""

    name: str
    text: str
    lesson: str


EXAMPLES: Final = (
    Example(
        "strawberry",
        "strawberry\n strawberry\nHow many r's are in strawberry?",
        "A model never sees the letters of a word, only its pieces. So it can be hard for it to count them.",
    ),
    Example(
        "Numbers",
        "7 42 1234 12345 1234567 3.14159\n1,234,567 + 89 =",
        "Some tokenizers take digits one by one, some in threes. To a model these are different ways to reckon.",
    ),
    Example(
        "Code",
        "def mean(values: list[float]) -> float:\n    if not values:\n        return 0.0\n"
        "    return sum(values) / len(values)\n",
        "Runs of spaces can be one token: tokenizers that learned from code need far fewer for the same file.",
    ),
    Example(
        "Emoji",
        "🙂 🤖 👍🏽 👩‍🚀 🇯🇵",
        "Rare characters are split into bytes. A token can be a part of a character that only the next ones complete.",
    ),
    Example(
        "Japanese",
        "日本語の文章は、英語よりも多くのトークンになることがあります。",
        "The same thought takes more tokens in some languages than in others, which costs money, time and context.",
    ),
    Example(
        "A rare word",
        "pneumonoultramicroscopicsilicovolcanoconiosis, Llanfairpwllgwyngyll, defenestration",
        "What the tokenizer did not learn as a whole is put together from pieces it knows, whatever they mean.",
    ),
    Example(
        "Spaces",
        "hello hello  hello\n hello\thello\nhello ",
        "A space belongs to the word behind it: at the start of a line it is another token than within a sentence.",
    ),
    Example(
        "Upper and lower case",
        "paris Paris PARIS pArIs",
        "To a model these have nothing in common but what it learned: other tokens, and sometimes more of them.",
    ),
)
