"""One whole training step as a graph: assembled, then run watched, plain or compiled."""
