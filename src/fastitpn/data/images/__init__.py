"""Images: found, decoded, and transformed."""
