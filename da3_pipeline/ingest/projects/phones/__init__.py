"""What scanning and logging programs of phones write: poses of ARKit and ARCore, their lenses, depth of a sensor."""
