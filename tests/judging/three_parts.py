"""One server that plays all three parts of an emulated study: the agent, its tools, and the judge."""

from __future__ import annotations

import json
from typing import Any


class ThreeParts:
    """Counts what it plays. The agent calls ``MailboxSearch``, then speaks; everything scores 2."""

    def __init__(self) -> None:
        self.played = {"agent": 0, "tools": 0, "judge": 0}

    def __call__(self, request: dict[str, Any]) -> Any:
        """What the part that is asked for says."""
        first = request["messages"][0]["content"]
        if first.startswith("You play the tools"):
            self.played["tools"] += 1
            return json.dumps({"observation": {"messages": ["m1"]}})
        if first.startswith("You grade"):
            self.played["judge"] += 1
            return json.dumps({"reason": "so so", "score": 2})
        self.played["agent"] += 1
        if any(message["role"] == "tool" for message in request["messages"]):
            return "I found one."
        function = {"name": "MailboxSearch", "arguments": '{"query": "news"}'}
        return {"content": None, "tool_calls": [{"id": "1", "type": "function", "function": function}]}
