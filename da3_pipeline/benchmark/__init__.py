"""Measurements that print tables: pose accuracy against truth, stage times and memory, beside a peer."""
