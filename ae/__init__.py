"""Experiments that are run by one command each, and their plots."""
