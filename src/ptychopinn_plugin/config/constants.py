"""Constants of nature."""

# Planck's constant times the speed of light, eV m, exact in the SI.
EV_METRE = 1.239841984332e-6
