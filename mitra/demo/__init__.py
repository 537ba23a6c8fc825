"""The demo: a real Kafka, the real job and sample payments, with a live table of what is decided."""
