"""What further knowledge does to a solution; one file a kind of knowledge."""
