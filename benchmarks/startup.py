"""Whole-process times of ``hetpd`` with a synthetic catalogue: ``python benchmarks/startup.py [RULES] [RUNS]``.

Lays the package out in a temporary folder as a wheel does, with its rules cloned until there are RULES (300), and times
the commands in turn, so that a drift of the machine's speed meets all of them alike. Prints medians.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from itertools import count
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parent.parent
COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "hetpd --version": ["-m", "hetpd_cli", "--version"],
    "check one pair": ["-m", "hetpd_cli", "check", "examples/vllm-1p1d-mismatch.yaml"],
    "check two prefill and two decode pools": ["-m", "hetpd_cli", "check", "examples/two-prefill-two-decode.yaml"],
    "check one pair, JSON": ["-m", "hetpd_cli", "check", "-f", "json", "examples/vllm-1p1d-mismatch.yaml"],
}

ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
"""An installed package has its bytecode; without it every start compiles the sources."""


def synthetic_checkout(target: Path, rules: int) -> int:
    """Lay the package out in ``target`` with its rules cloned up to ``rules``; return how many there are."""
    for name in ("hetpd_cli", "rules", "schemas", "examples"):
        shutil.copytree(ROOT / name, target / name, ignore=shutil.ignore_patterns("compiled", "__pycache__"))
    violated = _codes_of_examples()
    originals = [
        path for path in sorted(target.glob("rules/*/*.yaml")) if path.parent.name not in {"input", "configuration"}
    ]
    taken = {path.name[:6] for path in target.glob("rules/*/*.yaml")}
    for number in count(1):
        if len(taken) >= rules:
            break
        original = originals[number % len(originals)]
        code = next(code for code in (f"HPD{n:03d}" for n in range(100, 1000)) if code not in taken)
        taken.add(code)
        text = re.sub(r"^code: .*", f"code: {code}", original.read_text(encoding="utf-8"), count=1, flags=re.M)
        text = re.sub(r"^name: (.*)", rf"name: \1-{number}", text, count=1, flags=re.M)
        if original.name[:6] in violated:  # as much work, and no finding more
            text = re.sub(r"^(require: (?:>-\n(?:  .*\n)+|.*\n))", _made_to_hold, text, count=1, flags=re.M)
        (original.parent / f"{code}-clone-{number}.yaml").write_text(text, encoding="utf-8")
    subprocess.run([sys.executable, "-m", "hetpd_cli.compile"], cwd=target, check=True, env=ENVIRONMENT)
    for name in ("rules", "schemas"):
        shutil.move(target / name, target / "hetpd_cli" / name)
    return len(taken)


def _made_to_hold(requirement: re.Match[str]) -> str:
    """Return a requirement that is evaluated as before and then holds."""
    return requirement[0].rstrip() + " or true\n"


def _codes_of_examples() -> set[str]:
    """Return the codes that the timed commands report."""
    command = [sys.executable, "-m", "hetpd_cli", "check", "-f", "concise", "examples"]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout
    return set(re.findall(r"HPD[0-9]{3}", printed))


def timed(arguments: list[str], folder: Path) -> float:
    """Return the milliseconds that a fresh interpreter takes for ``arguments``."""
    begun = time.perf_counter()
    subprocess.run([sys.executable, *arguments], cwd=folder, stdout=subprocess.DEVNULL, check=False, env=ENVIRONMENT)
    return (time.perf_counter() - begun) * 1000


def main() -> None:
    """Print the median of each command in milliseconds."""
    rules, runs = (int(word) for word in [*sys.argv[1:], *["300", "10"][len(sys.argv) - 1 :]])
    with tempfile.TemporaryDirectory() as folder:
        made = synthetic_checkout(Path(folder), rules)
        times: dict[str, list[float]] = {name: [] for name in COMMANDS}
        for arguments in COMMANDS.values():
            timed(arguments, Path(folder))
        for _ in range(runs):
            for name, arguments in COMMANDS.items():
                times[name].append(timed(arguments, Path(folder)))
    print(f"{made} rules, {runs} runs each, milliseconds: median (least to most)")
    for name, measured in times.items():
        print(f"{median(measured):7.1f} ({min(measured):.1f} to {max(measured):.1f})  {name}")


if __name__ == "__main__":
    main()
