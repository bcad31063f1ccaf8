"""How good a network is: its poses and its depth, on held-out scenes and on photographs, and while it is trained."""
