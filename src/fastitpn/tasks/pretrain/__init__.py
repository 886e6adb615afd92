"""Pre-training by masked feature modelling."""
