"""Counts what holds, for the scripts of this directory, and tells it a line each."""

import sys


class Checks:
    def __init__(self):
        self.count, self.failures = 0, []

    def __call__(self, holds, claim, shown=""):
        self.count += 1
        print(f"{'ok    ' if holds else 'FAILED'} {claim}")
        if not holds:
            self.failures.append(claim)
            print(f"       {shown}"[:3000])

    def end(self, subject):
        """Says how many there were, and ends the script: with 1 where one did not hold."""
        print(f"{subject}: {self.count} checks, {len(self.failures)} failed")
        sys.exit(1 if self.failures else 0)
