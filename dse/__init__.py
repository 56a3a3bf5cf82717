"""The search: spaces, the engine that walks them, the archive and store of what was found, and the report."""
