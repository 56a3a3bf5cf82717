"""Files from outside become design objects here: one file a format, no search and no cost in any."""
