"""Engines of Beam on this machine: what scripts/flink_up and scripts/spark_up start."""
