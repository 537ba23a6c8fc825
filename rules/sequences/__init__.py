"""Sequences: steps that follow one another in an entity's history, read, checked, compiled and found.

Pure: histories hand in their events as columns.
"""
