"""Kubernetes manifests: pod templates of many kinds to groups of members."""
