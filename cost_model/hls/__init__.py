"""An analytic model of what a high-level synthesis tool makes of a loop nest with directives."""
