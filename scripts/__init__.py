"""What is run by hand, from a checkout: none of it is installed."""
