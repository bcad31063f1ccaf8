"""Whether the verdict can be believed where it is hardest: on a few views."""
