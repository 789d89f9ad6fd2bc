"""Reconstruct simulated scans with one fault of real experiments each, as a user would.

usage: stress.py --folder FOLDER [--seeds 31,32] [--backend pytorch] [--only NAME,...]
                 [--frame-size N] [--ptychi PYTHON] [--page docs/real-scans.md]

Prints a Markdown table: error and phase similarity by physics alone with the probe refined, by
`reconstruct --auto` with the model of the package, and by pty-chi's LSQML with its corrections on.
With --page it is written into that page, between its markers, with a picture of before and after
for each fault beside it.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from faults import FAULTS, Fault, FaultyScan, faulty_scan
from page_tables import write_between

from ptychopinn_plugin import InferenceConfig, Reconstruction, make_engine, reconstruct
from ptychopinn_plugin.backends.protocol import Engine
from ptychopinn_plugin.io.npz_scan_writer import save_npz
from ptychopinn_plugin.metrics import Score, score

BEGIN, END = '<!-- measured table -->', '<!-- end of the table -->'
BORDER_PX = 6
PTYCHI_EPOCHS = 24
Image = npt.NDArray[np.complex64]


@dataclasses.dataclass(frozen=True)
class Row:
    """What one method makes of one scan.

    Attributes:
        score: against the ground truth.
        positions_px: error of the positions, their common shift removed; NaN where not known.
        seconds: of the reconstruction.
    """

    score: Score
    positions_px: float
    seconds: float


def field(faulty: FaultyScan, origin_px: tuple[int, int]) -> tuple[slice, slice]:
    """Return the scanned field of a canvas without its border."""
    positions = faulty.scan.positions_px - np.asarray(origin_px)
    low = np.ceil(positions.min(axis=0)).astype(int) + BORDER_PX
    high = np.floor(positions.max(axis=0)).astype(int) - BORDER_PX
    return slice(int(low[0]), int(high[0])), slice(int(low[1]), int(high[1]))


def judge(faulty: FaultyScan, result: Reconstruction) -> Row:
    """Compare a reconstruction with the ground truth."""
    found = result.object_canvas[field(faulty, result.origin_px)]
    scores = score(found, faulty.truth[field(faulty, (0, 0))])
    errors = result.positions_px - faulty.positions_px
    errors = errors - errors.mean(axis=0)
    return Row(scores, float(np.sqrt(np.mean(np.sum(errors**2, axis=1)))), result.seconds)


def by_ptychi(python: str, faulty: FaultyScan, fault: Fault, folder: Path) -> Row:
    """Reconstruct with pty-chi's LSQML, with its corrections for the fault switched on."""
    path = folder / 'scan.npz'
    save_npz(path, faulty.scan)
    script = Path(__file__).with_name('anchor_ptychi.py')
    command = [python, script, path, folder, str(PTYCHI_EPOCHS), '--update-probe', '--advised']
    if fault.positions_rms_px or fault.beam_rms_px or fault.affine != (1.0, 0.0, 0.0):
        command.append('--positions')
    if len(fault.mode_powers) > 1:
        command += ['--modes', str(len(fault.mode_powers))]
    if fault.astigmatism_drift:
        command += ['--opr-modes', '2']
    if fault.photons < 1e5:
        command.append('--poisson')
    subprocess.run([str(word) for word in command], check=True, stdout=subprocess.DEVNULL)
    with np.load(folder / f'{PTYCHI_EPOCHS}.npz') as saved:
        found, seconds = saved['object'], float(saved['seconds'])
        positions = saved['positions_px']
    inner = field(faulty, (0, 0))
    errors = positions - faulty.positions_px
    errors = errors - errors.mean(axis=0)
    distance = float(np.sqrt(np.mean(np.sum(errors**2, axis=1))))
    return Row(score(found[inner], faulty.truth[inner]), distance, seconds)


def reconstructions(engine: Engine, faulty: FaultyScan) -> tuple[Reconstruction, Reconstruction]:
    """Reconstruct with the probe refined by physics alone, and as `reconstruct --auto` does."""
    plain, auto = InferenceConfig(update_probe='on'), InferenceConfig(auto=True)
    return (
        reconstruct(faulty.scan, model=None, inference=plain, engine=engine),
        reconstruct(faulty.scan, inference=auto, engine=engine),
    )


def draw(path: Path, faulty: FaultyScan, before: Reconstruction, after: Reconstruction) -> None:
    """Draw the phase of the object before and after, and the ground truth, in one colour range."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from ptychopinn_plugin.physics.ambiguities import aligned

    truth = faulty.truth[field(faulty, (0, 0))]
    images = [
        np.angle(aligned(result.object_canvas[field(faulty, result.origin_px)], truth))
        for result in (before, after)
    ]
    low, high = np.percentile(np.angle(truth), [1, 99])
    figure = Figure(figsize=(6.6, 2.4), layout='constrained')
    FigureCanvasAgg(figure)
    titles = ('probe refined only', 'auto', 'ground truth')
    for axes, image, title in zip(
        figure.subplots(1, 3), (*images, np.angle(truth)), titles, strict=True
    ):
        axes.imshow(image, cmap='viridis', vmin=low, vmax=high, interpolation='nearest')
        axes.set_title(title, fontsize='small')
        axes.set_axis_off()
    figure.savefig(path, dpi=80)


def measure(arguments: argparse.Namespace) -> Iterator[tuple[str, dict[str, list[Row]]]]:
    """Yield what each method makes of each fault, a row for each seed."""
    engine = make_engine(arguments.backend)
    for name in arguments.only or FAULTS:
        rows: dict[str, list[Row]] = {}
        for number, seed in enumerate(arguments.seeds):
            faulty = faulty_scan(FAULTS[name], seed, frame_size=arguments.frame_size)
            before, after = reconstructions(engine, faulty)
            rows.setdefault('probe', []).append(judge(faulty, before))
            rows.setdefault('auto', []).append(judge(faulty, after))
            if arguments.ptychi:
                found = by_ptychi(arguments.ptychi, faulty, FAULTS[name], arguments.folder)
                rows.setdefault('ptychi', []).append(found)
            if number == 0 and arguments.page:
                draw(picture_path(arguments.page, name), faulty, before, after)
        yield name, rows


def picture_path(page: Path, name: str) -> Path:
    """Return where the picture of a fault lies, its folder made."""
    folder = page.parent / 'images' / 'faults'
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f'{name.replace(" ", "-").replace(",", "").replace("%", "percent")}.png'


def line(name: str, rows: dict[str, list[Row]]) -> str:
    """Return a Markdown row: means over the seeds, geometric ones of errors."""
    cells = [name]
    for found in rows.values():
        nrmse = math.exp(np.mean([math.log(row.score.nrmse) for row in found]))
        similarity = np.mean([row.score.phase_ssim for row in found])
        positions = np.mean([row.positions_px for row in found])
        cells += [f'{nrmse:.4f}', f'{similarity:.3f}', f'{positions:.2f}']
    return f'| {" | ".join(cells)} |'


def table(found: Sequence[tuple[str, dict[str, list[Row]]]]) -> str:
    """Return the Markdown table with the geometric mean of all faults last."""
    methods = {'probe': 'probe refined', 'auto': 'auto', 'ptychi': 'pty-chi LSQML'}
    names = list(found[0][1])
    heads = ['fault']
    for name in names:
        heads += [f'{methods[name]}: nrmse', 'phase SSIM', 'positions, px']
    means = ['geometric mean']
    for name in names:
        logs = [math.log(row.score.nrmse) for _, rows in found for row in rows[name]]
        means += [f'**{math.exp(np.mean(logs)):.4f}**', '', '']
    lines = [f'| {" | ".join(heads)} |', f'|{"---|" * len(heads)}']
    lines += [line(name, rows) for name, rows in found]
    return '\n'.join([*lines, f'| {" | ".join(means)} |'])


def main() -> None:
    """Simulate, reconstruct, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--folder', type=Path, required=True)
    parser.add_argument(
        '--seeds', type=lambda text: [int(seed) for seed in text.split(',')], default=[31, 32]
    )
    parser.add_argument('--only', type=lambda text: text.split(','))
    parser.add_argument('--backend', default='pytorch')
    parser.add_argument('--frame-size', type=int, default=64)
    parser.add_argument('--ptychi', help='a Python with pty-chi')
    parser.add_argument('--page', type=Path)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    found = []
    began = time.perf_counter()
    for name, rows in measure(arguments):
        found.append((name, rows))
        print(line(name, rows), flush=True)
    text = table(found)
    print(text, f'\n{time.perf_counter() - began:.0f} s')
    plain = {
        name: {method: [dataclasses.asdict(row) for row in each] for method, each in rows.items()}
        for name, rows in found
    }
    (arguments.folder / 'stress.json').write_text(json.dumps(plain, indent=1), encoding='utf-8')
    if arguments.page:
        write_between(arguments.page, BEGIN, END, f'\n{text}\n')


if __name__ == '__main__':
    main()
