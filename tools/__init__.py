"""What an agent may call: one callable with a JSON schema in each module.

A file of one's own tools needs only this package: `from tools import tool, ToolContext`.
"""

from tools.spec import Tool, ToolContext
from tools.user_tools import tool

__all__ = ["Tool", "ToolContext", "tool"]
