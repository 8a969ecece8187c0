"""Where things are: the repository a command works in, and the files it keeps there."""

import os
from pathlib import Path

import yaml

from hdrbench.errors import HdrbenchError, unknown

PROFILES = ("embedded", "hdri", "paper")


def root() -> Path:
    """Find the repository: the nearest folder at or above the working directory with `replications` and `params.yaml`.

    Raises
    ------
    HdrbenchError
        If there is none.
    """
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "replications").is_dir() and (folder / "params.yaml").is_file():
            return folder
    raise HdrbenchError(f"{here} is not inside an hdrbench checkout (no replications/ with params.yaml above it)")


def papers() -> list[str]:
    """List the replications."""
    return sorted(path.parent.name for path in (root() / "replications").glob("*/paper.yaml"))


def replication(paper: str) -> Path:
    """Return a paper's replication folder, or raise an `HdrbenchError` that suggests the nearest name."""
    if paper not in papers():
        raise unknown("paper", paper, papers())
    return root() / "replications" / paper


def active_profile() -> str:
    """Read the active profile from the root's params.yaml."""
    source = root() / "params.yaml"
    name = read_yaml(source).get("profile")
    if name not in PROFILES:
        raise HdrbenchError(f"{source}: {unknown('profile', str(name), PROFILES)}")
    return name


def check_profile(name: str) -> str:
    """Return `name` if it is a profile, else raise an `HdrbenchError`."""
    if name not in PROFILES:
        raise unknown("profile", name, PROFILES)
    return name


def results(paper: str, profile: str) -> Path:
    """Return the folder of a paper's results under a profile."""
    return root() / "results" / paper / check_profile(profile)


def work() -> Path:
    """Return the folder of resumable state and caches; not versioned, safe to delete. `HDRBENCH_WORK` moves it."""
    return Path(os.environ.get("HDRBENCH_WORK") or root() / ".work")


class _UniqueKeys(yaml.SafeLoader):
    """Refuses a mapping that names a key twice, of which YAML would keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        """Build a mapping after looking for keys that stand there twice."""
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        twice = [key for key in keys if keys.count(key) > 1]
        if twice:
            raise yaml.constructor.ConstructorError(None, None, f"key '{twice[0]}' stands there twice", node.start_mark)
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> dict:
    """Read a YAML mapping; a missing or malformed file, or a key given twice, is an `HdrbenchError` naming the file."""
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _UniqueKeys)
    except FileNotFoundError:
        raise HdrbenchError(f"{path}: file not found") from None
    except (OSError, UnicodeDecodeError) as error:
        raise HdrbenchError(f"{path}: cannot be read as UTF-8 text ({error})") from error
    except yaml.YAMLError as error:
        raise HdrbenchError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise HdrbenchError(f"{path}: expected a mapping, got {type(content).__name__}")
    return content


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a file so that a reader, or a crash, never sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    data = content.encode("utf-8") if isinstance(content, str) else content
    try:
        temporary.write_bytes(data)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
