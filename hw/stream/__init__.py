"""Units, pipelines and packets: how parts of a datapath are joined."""
