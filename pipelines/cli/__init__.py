"""What programs say and ask: flags, words, bars."""
