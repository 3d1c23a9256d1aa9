"""Data sets and loaders: pictures decoded once into a memory-mapped cache, order a function of (seed, epoch)."""
