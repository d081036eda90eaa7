"""Formulas: pure functions of numbers, their units in their names.

Each stands in one place and works on a number and on a numpy array alike: arithmetic, and the few operations of
:mod:`hetpd_cli.physics.operations`. Nothing here imports numpy for plain numbers.
"""
