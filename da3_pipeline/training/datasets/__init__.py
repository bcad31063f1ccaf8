"""Public data sets of posed views, each read from the layout that its authors publish."""
