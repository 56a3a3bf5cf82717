"""Records that models learn from, and what keeps them honest: held-out kernels, ancestry, likeness, a data card."""
