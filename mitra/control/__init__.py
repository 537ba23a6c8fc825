"""The client of the control topic: reads what is live, writes changes, waits until every part of the job runs them."""
