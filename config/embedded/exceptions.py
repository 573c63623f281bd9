"""What may go wrong while servers are started here.

EmbeddedError
"""


class EmbeddedError(Exception):
    """A start that was refused or failed: what is wrong, and what the operator can do about it."""

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.remedy = remedy
