"""What the user types: one file per family, each a thin front for functions of `api`."""

from mlmagic.magics import lineage, reuse, slice, status, track

MAGICS = (status.StatusMagics, track.TrackMagics, lineage.LineageMagics, slice.SliceMagics, reuse.ReuseMagics)
COMPLETERS = {**status.COMPLETERS, **track.COMPLETERS, **lineage.COMPLETERS, **slice.COMPLETERS, **reuse.COMPLETERS}

__all__ = ["COMPLETERS", "MAGICS"]
