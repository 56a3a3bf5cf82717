"""Kinds of problems: each with its space, its evaluators, and what there is to say of its designs."""
