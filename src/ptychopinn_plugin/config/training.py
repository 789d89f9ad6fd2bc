"""How a model is trained."""

from ptychopinn_plugin.config.base import Config, setting


class TrainingConfig(Config):
    """Training on the photons that the reconstruction did not see; no labels."""

    epochs: int = setting(20, 'Training epochs', ge=1, le=100_000)
    steps_per_epoch: int = setting(
        40, 'Episodes an epoch, each a short reconstruction of one crop', ge=1, le=100_000
    )
    learning_rate: float = setting(2e-3, 'Peak learning rate', gt=0, le=1)
    update_probe: bool = setting(
        False, "Refine each scan's probe before training, as for a scan whose probe is a guess"
    )
    crop_frames: int = setting(
        324, 'Neighbouring frames in a training crop', ge=8, le=100_000, advanced=True
    )
    sparse_share: float = setting(
        0.4,
        'Share of episodes that drop most frames, to learn sparse scans',
        ge=0,
        le=1,
        advanced=True,
    )
    reference_passes: int = setting(
        20, "Physics passes for each scan's reference", ge=1, le=10_000, advanced=True
    )
    validation_fraction: float = setting(
        0.15,
        'Share of the frames, a strip of the scan, kept for validation',
        gt=0,
        le=0.5,
        advanced=True,
    )
    validation_episodes: int = setting(
        12, 'Held-out episodes that judge every epoch', ge=1, le=10_000, advanced=True
    )
    patience: int = setting(
        10, 'Epochs without improvement before training stops', ge=1, le=100_000
    )
    seed: int = setting(0, 'Seed of every random choice', ge=0, le=2**31 - 1)
