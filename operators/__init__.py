"""One Flink operator a file, each thin: read state, call a pure function, write state."""
