"""Rules made of two expressions, and how to judge them."""

from __future__ import annotations

from typing import Any

from hetpd_cli.engine.catalogue import Rule, compile_rule


def rule(require: str, when: str = "true", *of: str | None, over: str = "boundary", **more: Any) -> Rule:
    """Return a rule whose evidence is of ``of``."""
    evidence = [{"kind": "paper", "at": "x", "says": "y", **({"of": one} if one else {})} for one in of or (None,)]
    raw = {
        "code": "HPD299", "name": "a-rule", "title": "A rule", "severity": "error", "confidence": "certain", "over": over,
        "message": "m", "why": "w.", "fix": "f", "since": "0.1.0", "when": when, "require": require,
        "evidence": evidence, **more,
    }  # fmt: skip
    return Rule(compile_rule(raw))
