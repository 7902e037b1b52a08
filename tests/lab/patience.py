"""How long the lab waits for what must come.

A wait costs only what it takes, so that nothing is won by a short limit; and a case that is right must not fail because
three labs, a build or a neighbour of the machine share its processors.
"""

LEAST = 180


def patience(seconds):
    """The seconds that something is waited for that takes a quiet machine less than these."""
    return max(seconds, LEAST)
