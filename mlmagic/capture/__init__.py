"""The step from a running cell to what really happened: names, memory, files, randomness, environment.

A :class:`Recorder` stands around each cell: `begin` before it, `end` after it; what comes out is one
:class:`mlmagic.records.Observation`. Nothing here writes to disk except the state of random generators.
"""

from mlmagic.capture.cell import Cell, Outcome
from mlmagic.capture.evidence import Evidence, Inputs, Obstacle
from mlmagic.capture.recorder import Recorder

__all__ = ["Cell", "Evidence", "Inputs", "Obstacle", "Outcome", "Recorder"]
