"""Pictures from plain tables, one file each. Nothing in this folder knows a run, a space or an evaluator."""
