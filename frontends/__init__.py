"""Files from outside become design objects here."""
