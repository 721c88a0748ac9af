"""Times the pipeline against its peers: scripts/benchmark."""
