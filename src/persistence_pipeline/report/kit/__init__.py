"""What every report is made of: how numbers are written, tables, figures, pages. Nothing of what is reported."""
