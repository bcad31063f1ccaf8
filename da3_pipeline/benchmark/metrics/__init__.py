"""How right poses, depth and surfaces are: figures that say the same of any method, with the published ones beside."""
