"""The step from a live object to its digest: one walk over what the object holds, one handler per type.

A fingerprint is 32 hexadecimal digits (XXH3-128), equal for equal content in any process and under any
hash seed, and ``None`` where content cannot be known ("opaque": equal to nothing). The same walk notes
what the object shares with others and which global names the code inside it can load.
"""

from mlmagic.fingerprint import handlers as handlers  # registers the built-in families of types
from mlmagic.fingerprint.describe import Description, describe
from mlmagic.fingerprint.files import file_fingerprint
from mlmagic.fingerprint.scope import DEFAULT_LIMIT, CodeReach, Scope
from mlmagic.fingerprint.sharing import groups, share, signature
from mlmagic.fingerprint.snapshot import CONSTANT_TYPES, UNKNOWN, Snapshot, fingerprint, snapshot

__all__ = [
    "CONSTANT_TYPES",
    "DEFAULT_LIMIT",
    "UNKNOWN",
    "CodeReach",
    "Description",
    "Scope",
    "Snapshot",
    "describe",
    "file_fingerprint",
    "fingerprint",
    "groups",
    "share",
    "signature",
    "snapshot",
]
