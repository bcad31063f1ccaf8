"""The network's forward pass beside the published package."""
