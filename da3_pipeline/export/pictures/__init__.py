"""The pictures of a data set: images, masks, and smaller copies of them."""
