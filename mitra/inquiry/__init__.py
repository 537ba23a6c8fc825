"""One decision looked at: what was decided, by what and under what, and what is usual for whom it is about."""
