"""Numbers about a model: model, X and y in; statistics with their intervals out."""
