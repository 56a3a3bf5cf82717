"""What a run leaves for people: the result files, the pictures, and what the terminal shows."""
