"""Fast bit-true inference over whole data sets."""

from mubinn.golden.inference.run import infer as infer
