"""Published runs looked at: pages, duplicates, differences, indexes."""
