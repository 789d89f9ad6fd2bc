"""The `cnn` architecture, PtychoPINN as published: what both backends share, no framework."""
