"""What runs on one machine: Java, jars, a single-node Kafka, and processes that never outlive their owner."""
