"""What a training run is to do, as data: methods, recipes, scales to begin with."""
