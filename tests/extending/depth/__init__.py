"""A task: how far away what an image shows is, one number in metres for each image."""
