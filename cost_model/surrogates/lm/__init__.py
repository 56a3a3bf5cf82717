"""Numeric language models: programs and designs as text in, results digit by digit out. The home of torch."""
