"""Ways of knowing a cost. They know nothing of search."""
