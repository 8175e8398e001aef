"""Fakes of every port, and the contract suites that the fakes and the real ones pass alike."""
