"""Reductions of trajectories to small tables; never repairs a trajectory, never trains or simulates."""
