"""One suite of checks for each contract of `design/contracts.py`, for whoever writes an implementation.

    check_evaluator(evaluator, batch)                  design.conformance.evaluator
    check_truth(truth, batch)                          design.conformance.truth
    check_surrogate(surrogate, task, labels, batch)    design.conformance.surrogate
    check_space(space)                                 design.conformance.space

Each returns where all laws hold, and raises `Nonconforming` (an AssertionError) that names the culprit, what was found
and what was expected. `design.conformance.pytest_suites` makes a pytest class of each: one test a law.

Nothing is imported here, so that `python -m design.conformance.evaluator` runs the module once.
"""
