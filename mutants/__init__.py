"""Proof that the suite can fail: faults in the code, each of which a test must notice."""
