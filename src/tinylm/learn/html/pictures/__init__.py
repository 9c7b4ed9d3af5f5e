"""Pictures by page: functions of a model's numbers that give SVG."""
