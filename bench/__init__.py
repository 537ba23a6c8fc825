"""Measurements: `python -m bench` drives the job through Kafka; the other modules say in their first lines what they measure."""
