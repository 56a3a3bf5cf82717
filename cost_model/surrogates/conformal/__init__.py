"""Conformal intervals: how far from a prediction the truth may lie, told by how far it lay from others.

The home of crepes (Bostrom, "crepes: a Python package for generating conformal regressors and predictive systems", COPA
2022).
"""
