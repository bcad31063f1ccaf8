"""What one focal length, a centre in the middle and a little bend do not describe: each lens as its matches have it."""
