"""A cell whose body is the trial: text in, search space and shared part told apart, trials out of worker processes."""
