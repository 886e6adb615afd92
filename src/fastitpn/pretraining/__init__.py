"""Masked feature modelling: masks, teachers, the objective and the model that is trained with it."""
