"""Where the truth stands among samples: the rank histogram, flat where samples are drawn as truths fall.

Hamill, "Interpretation of rank histograms for verifying ensemble forecasts", Monthly Weather Review 129 (2001). High
ends say that samples lie too close together, a high middle that they lie too far apart, a slope that they are too high
or too low.
"""

from __future__ import annotations

import numpy as np

from design.core import Floats


def rank_shares(truth: Floats, samples: Floats) -> Floats | None:
    """(k + 1,) the share of n truths (n,) with 0, 1, .. k of their samples (n, k) below them.

    A truth that equals samples stands anywhere among them: it counts to all those ranks alike, as it would in the mean
    if lots were drawn. Rows with a sample that is no number are left out; None where no row is left.
    """
    whole = np.isfinite(samples).all(axis=1)
    if not whole.any():
        return None
    truth, samples = truth[whole, None], samples[whole]
    below, equal = (samples < truth).sum(axis=1), (samples == truth).sum(axis=1)
    rank = np.arange(samples.shape[1] + 1)
    among = (below[:, None] <= rank) & (rank <= (below + equal)[:, None])
    shares: Floats = (among / (equal + 1)[:, None]).mean(axis=0)
    return shares
