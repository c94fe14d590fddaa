"""llm-playground: see how a language model chooses its words."""

from typing import Final

__version__: Final = "0.1.0"
