"""What the user types: one file per family, each a thin front for functions of `api`."""

from mlmagic.magics import assertions, drift, evaluate, export, lineage, reuse, serve, slice, status, sweep, track

_FAMILIES = (status, track, lineage, slice, reuse, sweep, evaluate, assertions, drift, export, serve)
MAGICS = (
    status.StatusMagics,
    track.TrackMagics,
    lineage.LineageMagics,
    slice.SliceMagics,
    reuse.ReuseMagics,
    sweep.SweepMagics,
    evaluate.EvaluateMagics,
    assertions.AssertionMagics,
    drift.DriftMagics,
    export.ExportMagics,
    serve.ServeMagics,
)
COMPLETERS = {name: complete for family in _FAMILIES for name, complete in family.COMPLETERS.items()}

__all__ = ["COMPLETERS", "MAGICS"]
