"""Classical merging of exposure stacks: into radiance maps (Debevec, Robertson), or straight into an image to look at."""
