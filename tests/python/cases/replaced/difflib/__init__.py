NAME = "own difflib"
