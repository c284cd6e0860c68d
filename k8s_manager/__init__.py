"""Jobs: the records that say what should run, and the controller that makes it so."""
