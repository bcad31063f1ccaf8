"""What a depth sensor adds to rays: where points are, and how far cameras moved."""
