"""A sampling setting stands in one table: the config, the command line and the requests over HTTP follow from it."""

from __future__ import annotations

import argparse
import doctest
from typing import Annotated

import pytest
from pydantic import ValidationError, create_model

from tinylm.cli import sampling
from tinylm.config import sample_settings
from tinylm.config.aliases import ALIASES
from tinylm.config.sample_settings import SampleSettings, Setting, named_settings
from tinylm.config.schema import SampleConfig
from tinylm.config.section import Section
from tinylm.errors import TinyLMError
from tinylm.serving.request_schemas import NOT_OFFERED, CompletionRequest, TextRequest, setting_fields

NAMES = [name for name, _, _ in named_settings()]


class MoreSettings(SampleSettings):
    """As the table would be with one more sampler."""

    __annotations__ = {**SampleSettings.__annotations__, "tail_free": Annotated[float, Setting(
        "only what is above the flat tail", "Z", about="1: off", gt=0, le=1)]}
    tail_free = 1.0


class MoreConfig(MoreSettings, Section):
    """The config of that table."""


def test_the_config_has_the_fields_of_the_table_in_its_order() -> None:
    assert [*SampleConfig.model_fields] == NAMES


def options(table: type = SampleSettings) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser()
    sampling.add_sampling_options(parser, table)
    return parser


def test_each_setting_is_an_option_with_a_word_of_help() -> None:
    actions = {action.dest: action for action in options()._actions}
    assert {*NAMES} <= {*actions}
    for name in NAMES:
        assert actions[name].help, name
    for old in {*actions} - {*NAMES, "help"}:
        assert ALIASES[old] in NAMES
        assert actions[old].help is argparse.SUPPRESS


def test_each_setting_is_a_field_of_requests_or_is_not_offered() -> None:
    assert {*NAMES} == {*NOT_OFFERED} | ({*NAMES} & {*CompletionRequest.model_fields})
    assert not {*NOT_OFFERED} & {*CompletionRequest.model_fields}


def test_one_more_setting_is_one_line_of_the_table() -> None:
    assert MoreConfig().tail_free == 1.0
    with pytest.raises(TinyLMError, match="tail_free: must be a number above 0 and of at most 1, but it is 2"):
        MoreConfig(tail_free=2)
    assert options(MoreSettings).parse_args(["--tail-free", "0.9"]).tail_free == "0.9"
    assert "--tail-free Z" in options(MoreSettings).format_help()
    assert "only what is above the flat tail" in options(MoreSettings).format_help()
    request = create_model("Request", __base__=TextRequest, **setting_fields(MoreSettings))
    assert request.model_json_schema()["properties"]["tail_free"] == {
        "anyOf": [{"type": "number", "exclusiveMinimum": 0, "maximum": 1}, {"type": "null"}], "default": None,
        "description": "1: off", "title": "Tail Free"}
    assert request(model="a", tail_free=0.5).tail_free == 0.5
    with pytest.raises(ValidationError):
        request(model="a", tail_free=0)


@pytest.mark.parametrize("module", [sample_settings, sampling])
def test_examples_in_docstrings_are_so(module: object) -> None:
    assert doctest.testmod(module).failed == 0  # type: ignore[arg-type]
