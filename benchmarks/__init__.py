"""Side by side with what a user would pick instead: ratios, never absolute times."""
