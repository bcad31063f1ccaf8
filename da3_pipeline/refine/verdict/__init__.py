"""Whether the scene is good enough to train on, judged without truth."""
