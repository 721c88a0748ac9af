"""The programs: flags in, a published run directory out."""
