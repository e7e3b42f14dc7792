"""Work on threads, cut into parts of fixed sizes, so that no number of threads changes a bit."""
