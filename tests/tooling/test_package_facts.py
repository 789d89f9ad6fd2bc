"""What stands in several files about the package is the same in all of them."""

from __future__ import annotations

import json
import os
import re
import runpy
import subprocess
import tomllib
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

import ptychopinn_plugin
from ptychopinn_plugin.cli.parser import parse

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / 'pyproject.toml').read_text())
PROJECT = PYPROJECT['project']
WORKFLOWS = sorted((ROOT / '.github' / 'workflows').glob('*.yml'))
LICENCES = runpy.run_path(str(ROOT / 'docs' / 'make_licences.py'))


def extras() -> list[str]:
    groups = PROJECT['optional-dependencies'].values()
    return list(dict.fromkeys(dependency for group in groups for dependency in group))


def steps(workflow: Path) -> list[dict[str, Any]]:
    jobs = yaml.safe_load(workflow.read_text())['jobs'].values()
    return [step for job in jobs for step in job['steps']]


def test_codemeta_says_what_the_project_says() -> None:
    codemeta = json.loads((ROOT / 'codemeta.json').read_text())
    for name in ('name', 'description', 'keywords'):
        assert codemeta[name] == PROJECT[name]
    assert codemeta['version'] == ptychopinn_plugin.__version__
    assert codemeta['license'].endswith('/' + PROJECT['license'])
    assert codemeta['runtimePlatform'] == f'Python {PROJECT["requires-python"]}'
    assert codemeta['softwareRequirements'] == PROJECT['dependencies']
    assert codemeta['softwareSuggestions'] == extras()
    citation = yaml.safe_load((ROOT / 'CITATION.cff').read_text())
    assert citation['title'] == codemeta['name']
    doi = citation['preferred-citation']['doi']
    assert codemeta['referencePublication']['@id'] == f'https://doi.org/{doi}'


# Packages that conda-forge has under another name than PyPI.
CONDA_NAMES = {'matplotlib': 'matplotlib-base', 'torch': 'pytorch'}


def in_conda(dependency: str) -> str:
    """Return a dependency of pyproject.toml as a recipe has it."""
    requirement = Requirement(dependency)
    return f'{CONDA_NAMES.get(requirement.name, requirement.name)} {requirement.specifier}'.strip()


def test_the_conda_recipe_has_the_dependencies_of_the_project() -> None:
    recipe = yaml.safe_load((ROOT / 'conda' / 'recipe.yaml').read_text())
    python = f'python {PROJECT["requires-python"]}'
    needed, optional = (recipe['requirements'][name] for name in ('run', 'run_constraints'))
    assert sorted(needed) == sorted([python, *map(in_conda, PROJECT['dependencies'])])
    groups = PROJECT['optional-dependencies']
    frameworks = dict.fromkeys((*groups['pytorch'], *groups['tensorflow']))
    assert sorted(optional) == sorted(map(in_conda, frameworks))
    assert recipe['requirements']['host'] == [
        python,
        'pip',
        *map(in_conda, PYPROJECT['build-system']['requires']),
    ]
    assert recipe['context']['version'] == ptychopinn_plugin.__version__
    (script,) = recipe['build']['python']['entry_points']
    assert dict([script.split(' = ')]) == PROJECT['scripts']
    assert recipe['about']['summary'] == PROJECT['description']
    assert recipe['about']['license'] == PROJECT['license']
    commands = [line for test in recipe['tests'] for line in test.get('script', [])]
    for line in commands:
        if '--version' not in line:
            parse(line.split()[1:])
    assert len(commands) > 2


def test_every_dependency_has_its_licence_on_the_page() -> None:
    page = (ROOT / 'docs' / 'licences.md').read_text()
    listed = dict(re.findall(r'^\| ([\w.-]+) \| (.+) \| [^|]*\|$', page, re.MULTILINE))
    names = {name.casefold().replace('_', '-') for name in listed}
    for dependency in [*PROJECT['dependencies'], *extras()]:
        assert Requirement(dependency).name.casefold() in names
    assert all(listed.values())
    assert page.startswith(LICENCES['HEAD'])


def test_the_closure_follows_dependencies_and_extras() -> None:
    closure = LICENCES['closure']
    assert {'ptychodus', 'hdf5plugin'} <= set(closure(['ptychodus>=1.6']))
    assert 'pyqt5' not in closure(['ptychodus>=1.6'])
    assert set(closure(['pytest'])) < set(closure(['hypothesis', 'pytest']))
    requirement = Requirement('a; extra == "gui" and python_version > "3"')
    assert LICENCES['is_needed'](requirement, ['gui'])
    assert not LICENCES['is_needed'](requirement, ['other'])
    assert not LICENCES['is_needed'](requirement, [])


@pytest.mark.parametrize(
    ('fields', 'name'),
    [
        ([('License-Expression', 'MIT'), ('License', 'long')], 'MIT'),
        ([('License', 'BSD')], 'BSD'),
        ([('License', 'Copyright\nall'), ('Classifier', 'License :: OSI Approved :: X')], 'X'),
        ([('Classifier', 'License :: OSI Approved')], 'see its files'),
    ],
)
def test_a_licence_is_named_by_what_the_package_says(
    fields: list[tuple[str, str]], name: str
) -> None:
    class Package:
        metadata = Message()

    for key, value in fields:
        Package.metadata[key] = value
    assert LICENCES['licence'](Package) == name


def test_the_workflows_run_what_there_is() -> None:
    makefile = (ROOT / 'Makefile').read_text()
    assert [path.name for path in WORKFLOWS] == ['checks.yml', 'pages.yml', 'release.yml']
    commands = [step['run'] for path in WORKFLOWS for step in steps(path) if 'run' in step]
    for script in re.findall(r'\.ci/\w+', '\n'.join(commands)):
        assert (ROOT / script).is_file()
    for words in re.findall(r'make ([\w -]+)', '\n'.join(commands)):
        for target in words.split():
            assert re.search(rf'^{target}:', makefile, re.MULTILINE)


def test_the_workflows_test_every_python_and_need_no_secrets() -> None:
    text = '\n'.join(path.read_text() for path in WORKFLOWS)
    for minor in ('3.11', '3.12', '3.13', '3.14'):
        assert f"'{minor}'" in text
    assert '${{ secrets' not in text
    for path in WORKFLOWS:
        assert yaml.safe_load(path.read_text())['permissions'] == {'contents': 'read'}


@pytest.mark.parametrize(('tag', 'code'), [('v', 0), ('', 1), ('v9.', 1)])
def test_the_tag_of_a_release_is_the_version(tag: str, code: int) -> None:
    (line,) = [step['run'] for step in steps(WORKFLOWS[-1]) if 'version' in step.get('name', '')][
        :1
    ]
    environment = os.environ | {'GITHUB_REF_NAME': f'{tag}{ptychopinn_plugin.__version__}'}
    done = subprocess.run(['bash', '-c', line], cwd=ROOT, env=environment, check=False, timeout=60)
    assert done.returncode == code
