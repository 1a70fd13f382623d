"""Second step of the data's way: source text becomes facts, before and without running anything.

`analyse` reads a cell, `code_facts` the code of a live function; both answer with an upper bound of what
running it could load from the notebook's variables, bind and change.
"""

from __future__ import annotations

from .bytecode import code_facts
from .cell import analyse
from .facts import CellFacts, CodeFacts
from .secrets import redact
from .source import source_hash

__all__ = ["CellFacts", "CodeFacts", "analyse", "code_facts", "redact", "source_hash"]
