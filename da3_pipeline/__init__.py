"""From a capture to a data set that a Gaussian-splatting trainer loads and learns from."""
