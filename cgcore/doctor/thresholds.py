"""Where a number becomes a verdict. Calibrated on one half of the study's maps and judged on the other (`cgcore.book`)."""

BOUND_BIT = 0.02
"""Jensen-Shannon bound, beyond noise, above which an open symmetry is an artefact that is seen."""
SEPARATION = 1.13
"""Closest stranger over longest bond, below which bonds are confused."""
DEVIATIONS = 3.0
"""Standard errors by which a bound must exceed noise."""
INDEPENDENT = 50.0
"""Independent frames below which a symmetry that does not show cannot be called absent."""

LEAST = 10.0
"""Independent frames below which nothing is said of a symmetry: error bars from blocks that never left a valley are zero."""
