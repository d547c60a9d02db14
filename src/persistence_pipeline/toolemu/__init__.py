"""ToolEmu as a second world: its cases and toolkits, tools that a model plays, and its recorded trajectories."""
