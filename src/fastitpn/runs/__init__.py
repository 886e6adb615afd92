"""What a run leaves on the disk: its directory, checkpoints and log, and the trained model in them."""
