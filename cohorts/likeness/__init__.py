"""How like real people twins are, whom they represent, and whether they give anybody away."""
