"""Export: a trained model in a form that other software runs."""
