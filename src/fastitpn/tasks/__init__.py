"""Tasks: a model with its loss and metrics. They know nothing of optimisers, devices or files."""
