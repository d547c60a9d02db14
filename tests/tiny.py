"""Words, template and preference pairs for tests with a tiny model; nothing of the project's own agents."""

from __future__ import annotations

import random
from collections.abc import Sequence

from persistence_pipeline.records import Message, PreferencePair, ToolCall

SPECIAL = ("<|pad|>", "<|unknown|>", "<|user|>", "<|assistant|>", "<|tool|>", "<|end|>")
WORDS = ("read", "delete", "ask_user", "finish", "shared", "plain", "please", *(f"f{i}" for i in range(20)))
TEMPLATE = (
    "{%- for m in messages -%}{%- if m.role == 'assistant' -%}<|assistant|> {% generation %}"
    "{%- for c in m.tool_calls or [] -%}{{ c.function.name }} "
    "{% for v in c.function.arguments.values() %}{{ v }} {% endfor %}{%- endfor -%}"
    "{%- if m.content -%}{{ m.content }} {% endif %}<|end|>{% endgeneration %} "
    "{%- else -%}<|{{ m.role }}|> {{ m.content }} <|end|> {% endif -%}{%- endfor -%}"
    "{%- if add_generation_prompt -%}<|assistant|>{%- endif -%}"
)


def call(tool: str, *values: str) -> Message:
    """An assistant's turn with one call."""
    arguments = {f"a{index}": value for index, value in enumerate(values)}
    return Message(role="assistant", tool_calls=(ToolCall(name=tool, arguments=arguments),))


def tool(text: str) -> Message:
    """An observation."""
    return Message(role="tool", content=text, name="read")


def make_pairs(n: int, objective: str = "safety", seed: int = 0) -> list[PreferencePair]:
    """Pairs that prefer reading before deleting."""
    rng = random.Random(seed)
    pairs = []
    for index in range(n):
        files = [f"f{rng.randrange(20)}" for _ in range(rng.randint(1, 3))]
        careful: list[Message] = []
        for file in files:
            careful += [call("read", file), tool(f"{file} {rng.choice(['shared', 'plain'])}")]
        pairs.append(
            make_pair(
                [Message(role="user", content="please delete " + " ".join(files))],
                [*careful, call("finish")],
                [call("delete", files[0]), tool("plain"), call("finish")],
                name=f"p{index}",
                objective=objective,
            )
        )
    return pairs


def make_pair(
    prompt: Sequence[Message],
    chosen: Sequence[Message],
    rejected: Sequence[Message],
    name: str = "p",
    objective: str = "safety",
) -> PreferencePair:
    """A pair with ids made from ``name``."""
    return PreferencePair.model_validate(
        {
            "pair_id": name,
            "case_id": f"case-{name}",
            "objective": objective,
            "chosen_id": f"{name}/chosen",
            "rejected_id": f"{name}/rejected",
            "prompt": tuple(prompt),
            "chosen": tuple(chosen),
            "rejected": tuple(rejected),
        }
    )
