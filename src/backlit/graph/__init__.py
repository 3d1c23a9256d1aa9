"""The graph: capture, topological order, backpropagation, numerical check, text and drawing."""
