"""The loop: checkpoints, run folder, logging, resuming."""
