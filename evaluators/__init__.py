"""One batch interface to everything that can say what a candidate costs."""
