"""Trunks that others trained, and how a network of this family starts from one."""
