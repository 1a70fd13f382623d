"""The step from rows to answers: lineage, slices and differences, as pure functions over the store's rows."""
