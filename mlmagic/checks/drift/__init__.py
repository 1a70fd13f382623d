"""The step from a remembered reference and current data to verdicts: which columns drifted, how far, by what measure.

A further detector is a file here that keeps to `finding.Detector`, and a line in `DETECTORS`.
"""

from mlmagic.checks.drift.comparison import METHODS, compare
from mlmagic.checks.drift.registry import DETECTORS
from mlmagic.checks.drift.report import ColumnDrift, DriftReport, JointDrift, Measured, Shares

__all__ = ["DETECTORS", "METHODS", "ColumnDrift", "DriftReport", "JointDrift", "Measured", "Shares", "compare"]
