"""Networks in plain torch.nn, a file a family."""
