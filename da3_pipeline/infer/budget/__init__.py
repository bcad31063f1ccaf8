"""What a pass of the network costs, and what the machine has."""
