"""Replay: files of events and labels through the job's own stages, to a table of decisions with every feature.

`prepare` checks and sorts the files, `intake` feeds them to the stages, `frames` is how decisions leave the JVM, `table` turns
them into Parquet, and `run` is the whole.
"""
