"""The ground floor: image files, transfer functions, exposure arithmetic, merging, alignment."""
