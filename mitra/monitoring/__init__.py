"""Quality and drift: what decide tells of payments and labels, counted in windows of event time, and alarms upon it. Pure."""
