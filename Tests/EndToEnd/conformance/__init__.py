"""What Prism promises on every backend, as cases that read like a specification.

Each module is a chapter, each class a section, each method one promise. Nothing here knows a backend beyond `backends.py`,
which holds the few words that SQL dialects say differently. `test_conformance.py` runs all of it on each backend;
docs/conformance.md lists it.
"""
