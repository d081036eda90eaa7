"""Rules at work: expressions, the compiled catalogue, three-valued verdicts, findings."""
