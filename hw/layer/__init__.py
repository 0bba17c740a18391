"""A layer: sequencer, memories, operands, classifier, trace."""
