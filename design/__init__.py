"""Ground floor: the vocabulary every other package speaks. Frozen data and numpy only."""
