"""Loss functions as small files, each with its source and equation."""
