"""What a numeric language model reads: a kernel's program part once, each design's part behind it, then its answers.

The text is versioned. A checkpoint answers only prompts of the version that it was trained on.
"""

VERSION = 1
