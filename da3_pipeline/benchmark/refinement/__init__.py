"""The refinement against perturbed truth."""
