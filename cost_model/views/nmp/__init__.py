"""How learners see near-memory designs."""
