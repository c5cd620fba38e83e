"""What an open project has: workflows, issue forms, versions, hooks. Each names only what is there, and they agree with each other."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib

import pytest
import torch
import yaml
from safetensors.torch import load_file

from utils.paths import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
FORMS = sorted(path for path in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml") if path.stem != "config")
BLOCKS = {"markdown", "input", "textarea", "dropdown", "checkboxes"}  # that GitHub knows


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def targets() -> set[str]:
    """What the Makefile can make."""
    return set(re.findall(r"^([a-z-]+):", read("Makefile"), re.M))


def project() -> dict:
    return tomllib.loads(read("pyproject.toml"))["project"]


def test_tests_of_a_group_share_a_process(request):
    """What counts the machine's processes would else run beside itself, and what is made once for a file be made twice. pytest 9.2 does that."""
    if getattr(request.config.option, "loadgroup", False):
        assert request.node.nodeid.endswith("@test_project")


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_runs_only_what_is_there(path):
    jobs = yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"]
    for job in jobs.values():
        assert job["timeout-minutes"] <= 40
        for step in job["steps"]:
            assert ("uses" in step) != ("run" in step)
            command = step.get("run", "")
            for row in job.get("strategy", {}).get("matrix", {}).get("include", [{}]):
                run = re.sub(r"\$\{\{ matrix\.(\w+) \}\}", lambda match, row=row: row[match[1]], command)
                assert not run.startswith("make ") or run.split()[1] in targets(), run
            if command.startswith(".ci/"):
                assert (ROOT / command).stat().st_mode & 0o100, f"{command} cannot be executed"


def test_every_python_that_is_promised_is_tested():
    found = set()
    for path in WORKFLOWS:
        found |= set(re.findall(r'"(3\.\d+)"', path.read_text(encoding="utf-8")))
    said = re.search(r"`python3` \((3\.\d+) to (3\.\d+)\)", read("README.md"))
    assert said, "the README says which Pythons will do"
    first, last = (int(version.split(".")[1]) for version in said.groups())
    assert found == {f"3.{minor}" for minor in range(first, last + 1)}
    assert f">={said[1]}" in project()["requires-python"]


def test_the_site_goes_to_pages():
    steps = yaml.safe_load(read(".github/workflows/site.yml"))["jobs"]["pages"]["steps"]
    used = [step.get("uses", "").partition("@")[0] for step in steps]
    assert used[-2:] == ["actions/upload-pages-artifact", "actions/deploy-pages"]
    assert steps[-2]["with"]["path"] == "build/site", "where `make book` puts it"


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_an_issue_form_is_one_that_github_takes(path):
    form = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert form["name"] and form["description"]
    ids = [block["id"] for block in form["body"] if block["type"] != "markdown"]
    assert len(ids) == len(set(ids)) >= 3
    for block in form["body"]:
        assert block["type"] in BLOCKS
        assert block["attributes"]["value" if block["type"] == "markdown" else "label"]


def test_forms_ask_for_what_an_author_needs():
    asked = {
        path.stem: {b.get("id") for b in yaml.safe_load(path.read_text(encoding="utf-8"))["body"]}
        for path in FORMS
    }
    assert {"exercise", "code", "message"} <= asked["check"]
    assert {"where", "says", "wrong"} <= asked["text"]


def test_one_version():
    version = project()["version"]
    assert re.search(r"^## (\S+),", read("CHANGELOG.md"), re.M)[1] == version
    assert yaml.safe_load(read("CITATION.cff"))["version"] == version


def test_hooks_and_container_call_what_is_there():
    for repository in yaml.safe_load(read(".pre-commit-config.yaml"))["repos"]:
        for hook in repository["hooks"]:
            program, dash, module = hook["entry"].split()[:3]
            assert (program, dash) == (".venv/bin/python", "-m") and module in ("ruff", "pytest"), hook[
                "entry"
            ]
            for file in re.findall(r"tests/\S+\.py", hook["entry"]):
                assert (ROOT / file).exists()
    container = json.loads(read(".devcontainer/devcontainer.json"))
    done = subprocess.run(
        [*container["postCreateCommand"].split(), "--dry-run"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    for file in container["customizations"]["codespaces"]["openFiles"]:
        assert (ROOT / file).exists()


def test_notebooks_are_compared_by_nbdime():
    assert re.search(
        r"^\*\.ipynb +diff=jupyternotebook +merge=jupyternotebook$", read(".gitattributes"), re.M
    )


def test_the_first_pictures_caption_is_true():
    """With mirrored images positions are more like their mirror image (in the row) than like a neighbour; without, about as much."""
    mirrored, beside, first = [], [], []
    for name in ("cifar10_vit", "cifar10_vit_unmirrored"):
        positions = load_file(ROOT / "data" / "checkpoints" / f"{name}.safetensors")["positions"].float()
        grid = torch.nn.functional.normalize(positions[0, 1:], dim=-1).unflatten(0, (8, 8))
        mirrored.append((grid * grid.flip(1)).sum(-1).mean().item())
        beside.append((grid[:, 1:] * grid[:, :-1]).sum(-1).mean().item())
        alike = (grid.flatten(0, 1) @ grid.flatten(0, 1).T).fill_diagonal_(-1).argmax(1)
        first.append((alike == torch.arange(64).view(8, 8).flip(1).flatten()).float().mean().item())
    assert mirrored[0] > beside[0] + 0.05 and abs(mirrored[1] - beside[1]) < 0.05
    assert mirrored[0] > mirrored[1] + 0.05 and first[0] > 0.5 > first[1]
    assert "mirror" in read("README.md").partition("## ")[0]


def test_the_checkpoints_are_alike_but_for_the_mirror():
    heads = [
        json.loads(read(f"data/checkpoints/{name}.jsonl").splitlines()[0])
        for name in ("cifar10_vit", "cifar10_vit_unmirrored")
    ]
    first, second = (head["settings"] for head in heads)
    same = set(first) & set(second) - {"mirror"}
    assert len(same) > 8 and {key: first[key] for key in same} == {key: second[key] for key in same}
    assert first["bf16"] and second["precision"] == "bfloat16"
    assert second["mirror"] is False and first.get("mirror", True) is True
    assert heads[0]["model"] == heads[1]["model"] and "--no-mirror" in heads[1]["command"]


def test_the_readme_is_short():
    for name in ("README.md", "README.ko.md"):
        if (ROOT / name).exists():
            assert len(read(name).splitlines()) <= 150, name
    assert len(re.findall(r"^!\[", read("README.md"), re.M)) == 1, "one picture"
