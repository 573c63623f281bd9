"""A product in a nutshell, for the tests of `up`: they put `config.embedded` and `manage.py` of the real one beside
these files, so that starting and stopping is tested in seconds and whatever the real product needs."""
