"""The HLS space: every choice of loop directives for a kernel, equal designs once.

`space.py` is the way in; `genome.py` says where each directive's gene is; `variation.py` samples and mutates;
`starts.py` holds simple known designs; `counting.py` counts the designs without listing them.
"""

from dse.spaces.hls.space import HlsSpace

__all__ = ["HlsSpace"]
