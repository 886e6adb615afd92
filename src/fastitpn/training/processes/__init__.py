"""Several processes: devices, launching, sharding, and what happens when one of them fails."""
