"""hetpd's verdicts against those of vLLM's own functions, case by case. docs/conformance.md says what is compared."""
