"""The spaces. Each file or folder here is one kind of design."""
