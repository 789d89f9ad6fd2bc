"""A hook of MkDocs: each notebook as a page of the site, with the outputs that are stored in it.

A page of its own, in the theme of the others, so that search finds it and it loads nothing from
elsewhere. The notebook itself stays beside it, to be downloaded.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

Cell = dict[str, Any]


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page and its pictures for each notebook; called by MkDocs."""
    for file in list(files):
        if file.src_uri.endswith('.ipynb') and file.abs_src_path:
            cells = json.loads(Path(file.abs_src_path).read_text(encoding='utf-8'))['cells']
            for name, content in page_files(PurePosixPath(file.src_uri), cells):
                files.append(File.generated(config, name, content=content))
    return files


def page_files(path: PurePosixPath, cells: list[Cell]) -> Iterator[tuple[str, str | bytes]]:
    """Yield the pictures of a notebook, then its page, each with its path in the site.

    Args:
        path: of the notebook, from the folder of the pages.
        cells: of the notebook.
    """
    parts, pictures = [], 0
    for cell in cells:
        source = ''.join(cell['source'])
        if cell['cell_type'] == 'markdown':
            parts.append(source)
            continue
        parts.append(f'```python\n{source}\n```')
        for output in cell['outputs']:
            if picture := output.get('data', {}).get('image/png'):
                pictures += 1
                name = f'{path.stem}-{pictures}.png'
                yield str(path.with_name(name)), base64.b64decode(picture)
                parts.append(f'![Output of the code above]({name})')
            elif 'text' in output:
                parts.append(f'```text\n{"".join(output["text"])}```')
    parts.insert(1, f'[This page as a notebook]({path.name})')
    yield str(path.with_suffix('.md')), '\n\n'.join(parts) + '\n'
