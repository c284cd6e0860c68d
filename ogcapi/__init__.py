"""The service: OGC API Processes, Features and Coverages, pages and the command line."""
