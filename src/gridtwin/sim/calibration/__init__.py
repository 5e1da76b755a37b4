"""The steps of a calibration: records of a site, a trial run, losses, the search, the judgement."""
