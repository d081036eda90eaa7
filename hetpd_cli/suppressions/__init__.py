"""Findings that somebody accepts: by a comment, by a table of the configuration, by a baseline.

A suppressed finding stays in the report, with the reason, and is counted. A suppression that suppresses nothing,
names no rule, gives no reason or has run out is a finding itself.
"""


class BaselineError(ValueError):
    """A baseline that cannot be used."""
