"""The session folder: artefacts saved, loaded and told apart from what became of them."""
