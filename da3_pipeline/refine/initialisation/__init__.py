"""Where solutions start: two-view geometry, averaging, COLMAP's global mapper, and the contest between them."""
