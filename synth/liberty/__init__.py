"""Liberty files: read, checked, measured; and the built-in 65-nm-class library."""
