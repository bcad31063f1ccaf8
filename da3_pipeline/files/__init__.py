"""Files that several rooms read or write: depth maps, COLMAP models, strict JSON, and how files are told apart."""
