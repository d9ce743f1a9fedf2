# SPDX-License-Identifier: Apache-2.0
"""What draws may give: a test of shares fails by a defect, not by chance."""

import functools
import math


@functools.lru_cache
def bounds(draws, share, chance=1e-11):
    """(least, most) of so many draws that fall to a share, but for `chance` on
    each side: of thousands of such checks in a run, one fails in a million runs.
    That is some 6.7 standard deviations."""
    def least(p):
        if p <= 0 or p >= 1:
            return draws * round(p)
        below = 0.0
        for k in range(draws + 1):
            below += math.exp(math.lgamma(draws + 1) - math.lgamma(k + 1) - math.lgamma(draws - k + 1)
                              + k * math.log(p) + (draws - k) * math.log1p(-p))
            if below > chance:
                return k
        return draws

    return least(share), draws - least(1 - share)


def fits(count, draws, share, slack=0):
    """`slack`: what may come of something else than chance, in draws."""
    low, high = bounds(draws, share)
    return low - slack <= count <= high + slack
