"""The gates: one small class each, its forward operation and directly beneath it its backward, a file a family."""
