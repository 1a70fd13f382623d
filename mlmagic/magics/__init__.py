"""What the user types: one file per family, each a thin front for functions of `api`."""

from mlmagic.magics import assertions, lineage, reuse, slice, status, sweep, track

_FAMILIES = (assertions, status, track, lineage, slice, reuse, sweep)
MAGICS = (
    assertions.AssertionMagics,
    status.StatusMagics,
    track.TrackMagics,
    lineage.LineageMagics,
    slice.SliceMagics,
    reuse.ReuseMagics,
    sweep.SweepMagics,
)
COMPLETERS = {name: complete for family in _FAMILIES for name, complete in family.COMPLETERS.items()}

__all__ = ["COMPLETERS", "MAGICS"]
