"""What is measured on pictures: sharpness, light, motion, cuts and places that were shown before."""
