"""Using what was trained: predictions, and a look into files of weights."""
