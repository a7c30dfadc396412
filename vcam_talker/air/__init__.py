"""Everything that must never stop: clock, timeline, pacer, sinks, the engine's supervisor."""
