"""The place of this process among those of one job, as torchrun names it in the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from ptychopinn_plugin.errors import ConfigError


@dataclass(frozen=True)
class ProcessRank:
    """One of the processes that a launcher has started for a job.

    Attributes:
        rank: number of the process, from 0 (`RANK`).
        size: number of processes (`WORLD_SIZE`).
        local_rank: number of the process among those of its machine (`LOCAL_RANK`).
        local_size: number of processes of its machine among which its cores are divided
            (`LOCAL_WORLD_SIZE`; 1 where the launcher does not name it).
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1

    @classmethod
    def of_environment(cls, environment: Mapping[str, str] = os.environ) -> ProcessRank:
        """Return the place that the environment names; without one the process works alone.

        Raises:
            ConfigError: a number is missing or wrong.
        """
        names = ('RANK', 'WORLD_SIZE', 'LOCAL_RANK')
        if environment.get('WORLD_SIZE', '1') == '1':
            return cls()
        missing = [
            name for name in (*names, 'MASTER_ADDR', 'MASTER_PORT') if not environment.get(name)
        ]
        if missing:
            raise ConfigError(
                [
                    f'WORLD_SIZE is {environment["WORLD_SIZE"]}, so {_listed(missing)} must be set '
                    'too; start the processes with torchrun, or set all of them with srun'
                ]
            )
        try:
            rank, size, local_rank = (int(environment[name]) for name in names)
            local_size = max(1, int(environment.get('LOCAL_WORLD_SIZE') or 1))
        except ValueError as error:
            set_ones = (name for name in (*names, 'LOCAL_WORLD_SIZE') if name in environment)
            found = ', '.join(f'{name}={environment[name]}' for name in set_ones)
            raise ConfigError([f'these must be whole numbers: {found}']) from error
        if not 0 <= rank < size:
            raise ConfigError([f'RANK must be 0 to {size - 1}, got {rank}'])
        return cls(rank, size, local_rank, local_size)


def _listed(names: list[str]) -> str:
    return ' and '.join(filter(None, (', '.join(names[:-1]), names[-1])))
