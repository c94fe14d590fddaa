"""One file a screen: the only place where widgets meet services."""
