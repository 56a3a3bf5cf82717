"""Transformer-H: a small causal transformer that reads a loop nest and a design's directives as tokens, and says how
far the analytic estimate is off (the specialised path of LLMulator; a description of it, not its code, was at hand)."""
