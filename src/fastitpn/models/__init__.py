"""The network: trunk, pyramid, registration with timm, and weights. Needs torch and timm alone."""
