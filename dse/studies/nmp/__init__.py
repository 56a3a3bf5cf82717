"""Near-memory processing for LLM inference: hardware and dataflow together (H2-LLM, SpecPIM)."""
