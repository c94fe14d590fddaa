"""What the app does without a screen: settings, presets, models on disk, runs, benchmarks."""
