"""Teachers: what gives the targets of pre-training."""
