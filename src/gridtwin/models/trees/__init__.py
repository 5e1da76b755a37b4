"""Trees whose leaves hold training rows, which give their values to new ones.

How they grow and draw (`forest`), how coarse they should be (`holdout`), and how likely their
leaves make a value (`likelihood`).
"""
