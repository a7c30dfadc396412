"""The composition root: the only place that builds engines, devices and services from configuration."""
