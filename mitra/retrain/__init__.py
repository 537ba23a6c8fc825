"""Retraining out of the log: when, on what, and what becomes of the model."""
