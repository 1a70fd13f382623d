"""The functions people import; each composes two or three rooms below. One module per function or two."""
