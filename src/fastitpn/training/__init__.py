"""Training: a short loop of ours on Lightning Fabric, with what it lacks to resume bit-exactly. It knows no task."""
