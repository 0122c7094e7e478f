"""An agent's graph as a picture: `diagram` (nodes, arrows, Mermaid), `layout`, `labels`, `svg`."""
