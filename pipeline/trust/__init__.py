"""How far a result can be trusted where no reference is: estimates, floors, and what they rest on."""
