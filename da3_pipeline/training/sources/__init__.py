"""Where sets of views come from: the generator, data sets on disk, shards made of them."""
