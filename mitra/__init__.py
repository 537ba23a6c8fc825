"""Mitra decides about payments while they can still be stopped."""

__version__ = "0.1.0"
