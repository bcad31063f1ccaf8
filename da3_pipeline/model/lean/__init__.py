"""What makes the network small and fast, beside the plain network."""
