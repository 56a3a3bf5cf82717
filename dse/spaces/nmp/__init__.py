"""The NMP space: hardware and data-centric dataflow together, SpecPIM's compute-centric one as a restriction.

`space.py` is the way in; `legal.py` turns any genes into a legal dataflow; `balance.py` knows good first cuts;
`variation.py` samples and mutates; `starts.py` holds simple known designs.
"""

from dse.spaces.nmp.space import NmpSpace

__all__ = ["NmpSpace"]
