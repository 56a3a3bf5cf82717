"""Training of learned models: one trainer, one file for a checkpoint, one for where a training stands."""
