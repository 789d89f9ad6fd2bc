"""Settings and starts that are chosen by short reconstructions and by held-out frames."""
