"""Nothing: an installation of before looks for its fixture here. The sandbox is `gateway.testing`."""
