"""The active loop: a model searches, a few designs are put to the truth, and the model learns from them."""
