"""``python -m networks``: see `networks.campaign`."""

from networks.campaign import main

main()
