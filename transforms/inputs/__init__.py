"""What --input and --manifest name: listed, and read in parts."""
