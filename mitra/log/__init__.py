"""The log: what the job read and what it decided, with every feature as served, in Parquet by day.

`columns` says what a decision's row holds and makes it, `mitra.job_log` has Flink write it, and the rest reads it back.
Two folders: `decisions` has a row for each decision, `records` one for each record that the job read, as it was read.
"""
