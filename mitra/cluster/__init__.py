"""The job on a Flink cluster: its REST API, the submission, and the program that `flink run` starts."""
