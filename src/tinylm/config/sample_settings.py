"""The sampling settings: their types, bounds and words, once. `SampleConfig`, the options of the command line and the
fields of HTTP requests are all made from this table, which imports nothing large, since every `--help` reads it."""

from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal, NamedTuple, get_args

MAX_INT32, MAX_SEED = 2**31 - 1, 2**63 - 1
"""Upper bounds of sizes and of seeds: what the libraries below can count."""


class Setting:
    """The bounds of a setting, and the words that describe it. It stands in `Annotated[TYPE, Setting(...)]`.

    pydantic finds the bounds by iterating over the object, which is annotated_types' protocol of grouped metadata.

    Args:
        help: the help of the option on the command line, without "(may be repeated)", which follows from the type.
        metavar: the name of the option's value; a choice among words needs none.
        about: what `help` leaves unsaid: the exact rule, or the value that turns the setting off.
        after: applied to a valid value.
        bounds: `ge`, `gt`, `le`, `lt`, as pydantic's `Field` has them.
    """

    __is_annotated_types_grouped_metadata__: Literal[True] = True

    def __init__(self, help: str = "", metavar: str = "", *, about: str = "",
                 after: Callable[[Any], Any] | None = None, **bounds: float) -> None:
        self.help, self.metavar, self.about, self.after, self.bounds = help, metavar, about, after, bounds
        self.__dict__.update(bounds)  # an error that names the bounds finds them as attributes

    @property
    def description(self) -> str:
        """The help of the setting and what the help leaves unsaid, in one line."""
        return "; ".join(filter(None, (self.help, self.about)))

    def __iter__(self) -> Iterator[Any]:
        from pydantic import AfterValidator, Field

        if self.bounds:
            yield Field(**self.bounds)  # type: ignore[call-overload]
        if self.after is not None:
            yield AfterValidator(self.after)


def _without_empty(texts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(filter(None, texts))


class SampleSettings:
    """The fields of `SampleConfig`, with their defaults. The filters apply in this order (sampling/filters.py)."""

    max_tokens: Annotated[int, Setting("most new tokens", "N", ge=0, le=MAX_INT32)] = 100
    min_tokens: Annotated[int, Setting(
        "the text does not end before so many", "N", about="<eos> comes no sooner", ge=0, le=MAX_INT32)] = 0
    overflow: Annotated[Literal["slide", "error"], Setting(
        "longer than the model sees: forget the front (slide, the default), or refuse",
        about="when a text outgrows the context: forget its front; or refuse the prompt, end the text")] = "slide"
    prefix: Annotated[tuple[str, ...], Setting(
        "the text begins with this: a text, or a token as #id", "TEXT")] = ()
    greedy: Annotated[bool, Setting("always the most likely token")] = False
    banned_tokens: Annotated[tuple[str, ...], Setting("never this token: its text, or #id", "TOKEN")] = ()
    logit_bias: Annotated[dict[str, Annotated[float, Setting(ge=-1e6, le=1e6)]], Setting(
        "likelier by e to the X against all others, or less if negative", "TOKEN=X",
        about="numbers added to the logits of tokens, by text or #id")] = {}  # noqa: RUF012 - pydantic copies it
    repetition_penalty: Annotated[float, Setting(
        "above 1: less of what was there", "X",
        about="of all that occurred: logits divided by it; 1: none", gt=0)] = 1.0
    frequency_penalty: Annotated[float, Setting(
        "above 0: less with each time it was there", "X",
        about="taken off a logit for each time that its token occurred")] = 0.0
    presence_penalty: Annotated[float, Setting(
        "above 0: less once it was there", "X", about="taken off a logit whose token occurred at all")] = 0.0
    temperature: Annotated[float, Setting(
        "below 1 safer, above 1 wilder", "X", about="0: always the likeliest, as greedy", ge=0)] = 0.8
    top_k: Annotated[int, Setting("only the K most likely tokens", "K", about="0: all", ge=0, le=MAX_INT32)] = 0
    top_p: Annotated[float, Setting("only the most likely tokens that reach P together", "P", gt=0, le=1)] = 1.0
    min_p: Annotated[float, Setting("only tokens at least P times as likely as the best", "P", ge=0, lt=1)] = 0.0
    typical_p: Annotated[float, Setting(
        "only the tokens about as surprising as is to be expected that reach P together", "P", gt=0, le=1)] = 1.0
    beams: Annotated[int, Setting(
        "above 1: search for the likeliest text, with N beams", "N",
        about="above 1: beam search for the likeliest text, without any chance", ge=1, le=1000)] = 1
    length_penalty: Annotated[float, Setting(
        "of beams: 1 (the default) compares averages, less favours short texts, more long ones", "X",
        about="of beams: a sum of log-probabilities is divided by length to this", ge=-50, le=50)] = 1.0
    early_stopping: Annotated[bool | Literal["never"], Setting(
        "of beams: end with the first texts (true); where better ones are not to be expected (false, the default); "
        "only where none could be better (never)")] = False
    stop: Annotated[tuple[str, ...], Setting(
        "end before this text", "TEXT", after=_without_empty,
        about="texts that end the generation and are left out of it; empty ones end nothing")] = ()
    seed: Annotated[int | None, Setting(
        "the same seed gives the same text", "N", about="none: another one each time", ge=0, le=MAX_SEED)] = None


class NamedSetting(NamedTuple):
    """A setting with its name and the type of its values."""

    name: str
    kind: Any
    setting: Setting


def named_settings(table: type = SampleSettings) -> list[NamedSetting]:
    """The settings of a table, in its order.

    >>> named_settings()[0].name, named_settings()[0].kind
    ('max_tokens', <class 'int'>)
    """
    return [NamedSetting(name, *get_args(annotation)) for name, annotation in table.__annotations__.items()]
