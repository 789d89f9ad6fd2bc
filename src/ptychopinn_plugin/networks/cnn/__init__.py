"""The `cnn` architecture, PtychoPINN as published: common parts, no framework."""
