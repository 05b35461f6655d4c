"""Environment: what a training ran on, since the same inputs give other weights elsewhere."""

from pydantic import BaseModel, ConfigDict


class Environment(BaseModel):
    """Interpreter, machine and packages; `threads` are those that torch adds up numbers with."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    python: str
    system: str
    device: str
    cuda: str | None
    threads: int
    packages: dict[str, str]
