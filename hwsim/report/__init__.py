"""Results as terminal text of 80 columns. Nothing here prints: functions return text."""
