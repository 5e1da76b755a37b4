"""Trees whose leaves hold training rows, which give their values to new ones.

How they grow and draw (`forest`) and what they predict (`targets`), how coarse they should be
(`holdout`), and how likely their leaves make a value (`likelihood`).
"""
