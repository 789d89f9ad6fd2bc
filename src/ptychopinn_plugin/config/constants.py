"""Constants that several rooms share."""

# Planck's constant times the speed of light, eV m, exact in the SI.
EV_METRE = 1.239841984332e-6
# Between two checkpoints of a reconstruction: what a killed one loses at most, beside one pass.
CHECKPOINT_SECONDS = 60.0
