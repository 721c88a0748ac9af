"""How a run comes to be: claimed, locked, staged, resumed, reused, published."""
