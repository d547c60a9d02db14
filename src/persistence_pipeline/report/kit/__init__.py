"""Parts of every report: written numbers, tables, figures, pages. Nothing of what is reported."""
