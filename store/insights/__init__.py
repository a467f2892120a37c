"""Insights: counts per day, brought up to date from what has changed, and read."""
