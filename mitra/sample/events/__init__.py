"""What else customers do beside paying: logins, password resets, cards added, transfers and orders, with frauds of their own.

They are made around the payments of a sample and change nothing of them: every stream of random numbers is their own.
"""

from mitra.sample.events.files import EventCounts, EventFiles
from mitra.sample.events.life import Life

__all__ = ["EventCounts", "EventFiles", "Life"]
