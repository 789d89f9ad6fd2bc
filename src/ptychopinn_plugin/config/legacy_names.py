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
    'checkpoint_monitor': 'checkpoint_monitor_metric',
    **{old: new for old, new in {**MODEL_NAMES, **TRAINING_NAMES}.items() if old != new},
}
"""Names of one setting here that have another name there."""
GENERAL_NAMES = {'device', 'lr', 'accumulate_grad_batches', 'mode', 'output_dir'}
"""Old names that users of other programs type too: alone they do not ask for PtychoPINN."""
SWITCHED_OFF: dict[str, tuple[str, object]] = {
    'disable_mlflow': ('logger', 'none'),
    'disable_checkpointing': ('enable_checkpointing', False),
}
"""Switches there that are one value of a setting here."""
OLD_VALUES: dict[tuple[str, object], object] = {
    ('accelerator', 'gpu'): 'cuda',
    ('scheduler', 'Adaptive'): 'ReduceLROnPlateau',
    ('amp_activation', 'silu'): 'swish',
    ('model_type', 'PINN'): 'pinn',
    ('model_type', 'Unsupervised'): 'pinn',
    ('model_type', 'Supervised'): 'supervised',
    ('n_groups', None): 0,
    ('n_subsample', None): 0,
    ('subsample_seed', None): 0,
}
REPLACED_FLAGS: dict[str, dict[str, str]] = {
    'train': {
        'output_prefix': '--model FILE.safetensors names the model; logs go beside it',
        'output_dir': '--model FILE.safetensors names the model; logs and checkpoints go beside it',
        'test_data_file': 'reconstruct the other scan with ptychopinn reconstruct, once trained',
        'ptycho_dir': 'name the scans themselves, as in ptychopinn train a.npz b.npz',
        'loss_mode': 'poisson is --nll-weight 1 --mae-weight 0, mae is --nll-weight 0 '
        '--mae-weight 1',
        'checkpoint_mode': 'leave it out, the least loss is the best',
        'activate': 'use --amp-activation',
        'activation': 'use --amp-activation',
        'log_patch_stats': 'leave it out, a training that collapses stops by itself',
        'patch_stats_limit': 'leave it out, a training that collapses stops by itself',
    },
    'reconstruct': {
        'output_prefix': '--output FILE.h5 or FILE.npz names the result',
        'output_dir': '--output FILE.h5 or FILE.npz names the result, --picture FILE.png draws it',
        'model_path': '--model FILE.safetensors names the model, trained by ptychopinn train',
        'comparison_plot': '--picture FILE.png draws the result',
        'phase_vmin': 'leave it out, pictures choose their own range',
        'phase_vmax': 'leave it out, pictures choose their own range',
    },
}
"""Flags of PtychoPINN whose meaning is reached another way here, by command."""
