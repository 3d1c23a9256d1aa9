"""Which kernel serves which gate on this machine."""
