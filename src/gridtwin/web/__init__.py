"""The page that ``gridtwin serve`` shows: runs, reports, comparisons, live simulations, what-ifs.

Nothing else in the package imports this; it needs the extra ``web``.
"""
