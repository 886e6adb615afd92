"""The acceleration that suits a model, its images and its machine, found by measuring."""
