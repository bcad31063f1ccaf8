"""From photographs to verified correspondences: features, matchers, pairs, two-view verification."""
