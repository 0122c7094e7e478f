"""What every back end of a task keeps. One module a task; a back end joins by a row of a list."""
