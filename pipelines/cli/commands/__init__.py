"""The commands and their arguments, by what they are for; each imports what does its work only when it is called."""
