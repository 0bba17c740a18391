"""``python -m fuzz``: see `fuzz.campaign`."""

from fuzz.campaign import main

main()
