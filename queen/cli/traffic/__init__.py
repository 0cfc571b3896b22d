"""What `queen produce` and `queen consume` do, without their options: sources, lanes, pacing, counting, progress.

The commands parse and print; everything here takes plain values and a `queen.client.Client`.
"""
