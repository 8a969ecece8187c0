"""The pages: every regenerated number beside the printed one, from ``tables.json`` to HTML, CSV, Markdown and LaTeX."""
