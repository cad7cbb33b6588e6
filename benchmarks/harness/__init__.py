"""Measure, judge and draw: what every benchmark needs, and nothing of what one of them is about."""
