"""A bundle behind HTTP: a process that answers in batches, and another that watches what it answers."""
