"""Connections: slots, pools, poolers, time-outs."""
