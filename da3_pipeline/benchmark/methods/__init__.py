"""Everything that can be asked for the poses and depth of a scene, behind one interface."""
