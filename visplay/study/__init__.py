"""Experiments on the loop: the same recipe under several settings and seeds, and the tables that compare them."""

from visplay.study.settings import Setting, Study, read_study
from visplay.study.table import tables

__all__ = ["Setting", "Study", "read_study", "tables"]
