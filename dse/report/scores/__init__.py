"""Scores of surrogates on the terminal and as pictures."""
