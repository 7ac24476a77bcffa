"""Subsidy decides who is granted money, and how much, by catalogue, standard and evidence (measures 2, 5)."""
