"""People are asked before what is critical happens, and what they said is kept."""
