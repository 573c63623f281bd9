"""Embedding profiles."""

from __future__ import annotations

import re

import pytest
from django.core.exceptions import ImproperlyConfigured
from hypothesis import given
from hypothesis import strategies as st

from config.environment import Environment
from conversations.backends.embedders import EmbeddingProfile, configured_profiles
from conversations.backends.embedders.profile import PROVIDERS


@pytest.mark.parametrize(
    ("setting", "profile"),
    [
        ("wordllama:l2_supercat:256", EmbeddingProfile("wordllama", "l2_supercat", 256)),
        (
            "openai:text-embedding-3-large:3072:7",
            EmbeddingProfile("openai", "text-embedding-3-large", 3072, "7"),
        ),
        ("openai:nomic-embed-text:latest:768", EmbeddingProfile("openai", "nomic-embed-text:latest", 768)),
        ("openai:some:7:768:1", EmbeddingProfile("openai", "some:7", 768)),
        (
            " fastembed:BAAI/bge-small-en-v1.5:384 ",
            EmbeddingProfile("fastembed", "BAAI/bge-small-en-v1.5", 384),
        ),
    ],
)
def test_profile_is_read_from_a_setting(setting, profile):
    assert EmbeddingProfile.parse(setting) == profile


@pytest.mark.parametrize(
    "setting",
    ["", "wordllama", "wordllama:l2_supercat", "wordllama:l2_supercat:0", "openai:m:-1", "openai::256"],
)
def test_profile_of_another_shape_is_refused(setting):
    with pytest.raises(ImproperlyConfigured, match="provider:model:dimension"):
        EmbeddingProfile.parse(setting)


def test_profile_of_an_unknown_provider_is_refused():
    with pytest.raises(ImproperlyConfigured, match="wordllama, fastembed, openai, hash"):
        EmbeddingProfile.parse("magic:model:256")


@given(
    st.sampled_from(PROVIDERS),
    st.from_regex(r"[a-zA-Z][\w/.-]*", fullmatch=True),
    st.integers(1, 99_999),
    st.from_regex(r"[a-z0-9]{1,8}", fullmatch=True),
)
def test_profile_name_reads_back(provider, model, dimension, version):
    profile = EmbeddingProfile(provider, model, dimension, version)

    assert EmbeddingProfile.parse(profile.name) == profile


def test_settings_take_what_a_profile_can_be(monkeypatch):
    names = [
        "openai:nomic-embed-text:latest:768",
        *(f"{provider}:some/model:99999:2" for provider in PROVIDERS),
    ]
    monkeypatch.setenv("EMBEDDING_PROFILES", ", ".join(names))

    assert Environment().profiles("EMBEDDING_PROFILES", "hash:words:64") == names


def test_slug_can_name_a_collection():
    profile = EmbeddingProfile.parse("openai:BAAI/bge-m3:latest:1024:2")

    assert profile.slug == "openai_baai_bge_m3_latest_1024_v2"
    assert re.fullmatch(r"[a-z0-9_]+", profile.slug)


def test_configured_profiles_keep_their_order(settings):
    settings.EMBEDDING_PROFILES = ["hash:words:64", "wordllama:l2_supercat:256"]

    assert [profile.provider for profile in configured_profiles()] == ["hash", "wordllama"]
