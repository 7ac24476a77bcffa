"""Subsidy decides who is granted money and how much, by catalogue, standard and evidence (measures 2.1, 2.2, 5.1, 5.2, 5.4)."""
