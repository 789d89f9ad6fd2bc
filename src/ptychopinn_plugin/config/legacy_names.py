"""Names of settings and values in the research code."""

MODEL_NAMES = {
    'N': 'frame_size',
    'gridsize': 'gridsize',
    'n_filters_scale': 'n_filters_scale',
    'model_type': 'model_type',
    'amp_activation': 'amp_activation',
    'object.big': 'object_big',
    'probe.big': 'probe_big',
    'probe.mask': 'probe_mask',
    'probe.trainable': 'probe_trainable',
    'intensity_scale.trainable': 'intensity_scale_trainable',
    'pad_object': 'pad_object',
    'probe_scale': 'probe_scale',
    'gaussian_smoothing_sigma': 'gaussian_smoothing_sigma',
}
TRAINING_NAMES = {
    'nepochs': 'epochs',
    'batch_size': 'batch_size',
    'nphotons': 'nphotons',
    'nll_weight': 'nll_weight',
    'mae_weight': 'mae_weight',
    'realspace_weight': 'realspace_weight',
    'realspace_mae_weight': 'realspace_mae_weight',
}
GROUPING_NAMES = (
    'n_groups',
    'neighbor_count',
    'n_subsample',
    'subsample_seed',
    'sequential_sampling',
)
FILE_NAMES = {
    'train_data_file_path': 'train_data',
    'train_data_file': 'train_data',
    'test_data_file_path': 'test_data',
    'test_data_file': 'test_data',
    'output_prefix': 'output',
    'output_dir': 'output',
}
"""Paths; as flags of the command line they have no counterpart of the same meaning."""
OLD_NAMES = {
    'max_epochs': 'epochs',
    'n_images': 'n_groups',
    'nimages': 'n_groups',
    'K': 'neighbor_count',
    'device': 'accelerator',
    'lr': 'learning_rate',
    'accumulate_grad_batches': 'accum_steps',
    'mode': 'model_type',
    **{old: new for old, new in {**MODEL_NAMES, **TRAINING_NAMES}.items() if old != new},
}
"""Names of one setting here that have another name there."""
SWITCHED_OFF = {'disable_mlflow': ('logger', 'none')}
"""Switches there that are one value of a setting here."""
OLD_VALUES: dict[tuple[str, object], object] = {
    ('accelerator', 'gpu'): 'cuda',
    ('amp_activation', 'silu'): 'swish',
    ('model_type', 'PINN'): 'pinn',
    ('model_type', 'Unsupervised'): 'pinn',
    ('model_type', 'Supervised'): 'supervised',
    ('n_groups', None): 0,
    ('n_subsample', None): 0,
    ('subsample_seed', None): 0,
}
