"""The parts of the trace model: what it keeps of training, when jobs arrive, what they do."""
