"""The tools and reference implementations that the notebooks share.

This package imports nothing when it is imported: a learner's edition lacks the modules their week asks
them to write, and every other module must still load.
"""
