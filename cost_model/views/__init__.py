"""How learners see a domain: `PlainView` sees any task by its schema, one more for each domain that has more to
show."""
