"""The active loop: a model searches, a few designs are bought from the truth, and the model learns from them."""
