"""The team's configuration: which rules run and how, what is assumed, what is suppressed."""
