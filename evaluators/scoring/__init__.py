"""Scores of predictors against what tools said: figures of one kernel, the protocol around them, the table."""
