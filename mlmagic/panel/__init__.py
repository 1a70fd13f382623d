"""The kernel's side of the page: snapshots and deltas out, commands in."""
