"""The step between a cell and its results of an earlier run: what it reads is compared, what it left is put back.

`Cache.find` before a cell, `Cache.keep` after it. Values are content-addressed files below ``artifacts/values``; what
a run read and where its results lie is a signed trace below ``artifacts/traces``.
"""

from mlmagic.cache.cache import Cache, Found, Keeping
from mlmagic.cache.decision import Difference
from mlmagic.cache.keeping import OUT, Finished
from mlmagic.cache.restore import Prepared
from mlmagic.cache.traces import Trace

__all__ = ["OUT", "Cache", "Difference", "Finished", "Found", "Keeping", "Prepared", "Trace"]
