"""Fixtures for tests with real servers. One module a server or tool; all stop what they start, by pid."""
