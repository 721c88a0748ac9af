"""The pages of docs/, of every program and of the transforms, as one site: scripts/docs."""
