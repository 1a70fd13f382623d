"""Verdicts on data and models: profiles, drift, assertions. Data in, verdicts out; in notebooks and in endpoints."""
