"""What poses and seeds are worth to a splat on held-out views."""
