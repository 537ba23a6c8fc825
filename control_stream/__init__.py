"""Control messages, revisions and acks arrive with the rules; the package marks their place."""
