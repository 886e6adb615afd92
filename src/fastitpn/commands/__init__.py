"""The verbs: a file each, with its keys, its function and what it does."""
