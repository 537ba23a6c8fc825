"""Rules tried on past payments before they are live: replayed by the job's own operators, then counted."""
