"""Models in forms that other software runs, each compared with the model before it is kept."""
