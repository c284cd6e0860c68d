"""Providers that read releases by windows and pages, never whole files."""
