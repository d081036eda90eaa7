"""`python -m tests.conformance [FAMILY ...]` prints where hetpd and the tables differ."""

from __future__ import annotations

import sys
import time

from tests.conformance.compare import compare, report
from tests.conformance.tables import committed, load


def main() -> int:
    """Compare the families that are named, or all."""
    families = sorted({family for family, _ in committed()})
    unknown = [word for word in sys.argv[1:] if word not in families]
    if unknown:
        print(f"no family {', '.join(unknown)}; there are {', '.join(families)}", file=sys.stderr)  # noqa: T201
        return 2
    differ = 0
    for family, version in committed():
        if sys.argv[1:] and family not in sys.argv[1:]:
            continue
        begun = time.perf_counter()
        comparison = compare(load(family, version))
        differ += len(comparison.differences)
        print(report(comparison))  # noqa: T201
        print(f"  {time.perf_counter() - begun:.1f} s, {comparison.judged} judged\n")  # noqa: T201
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main())
