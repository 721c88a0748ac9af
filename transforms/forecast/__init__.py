"""What --plan needs to know."""
