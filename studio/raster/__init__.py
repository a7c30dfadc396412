"""Draws presenters by OpenGL without a window; Mesa's llvmpipe does it on a CPU."""
