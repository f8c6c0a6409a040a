"""A row of the table."""

from dataclasses import dataclass


@dataclass
class Row:
    """What was measured of ours and of a peer, and how far that must go."""
    what: str
    ours: float
    peer: float | None
    unit: str
    ratio: float             # what the bar is about
    bar: float | None        # None: there is none
    aim: float
    at_most: bool            # the ratio must be at most (else: at least) the bar

    @property
    def met(self) -> str:
        def within(limit):
            return self.ratio <= limit if self.at_most else self.ratio >= limit
        return "aim" if within(self.aim) else "bar" if self.bar is None or within(self.bar) else "missed"
