"""Start-up checks find what they say they find."""

import pytest
from django.core.checks import run_checks
from django.core.checks.registry import registry as registered
from django.db import connections

from conversations import checks
from conversations.ports import registry


def numbers(found):
    return [message.id for message in found]


def test_nothing_is_wrong_with_the_tests_own_settings(database):
    assert checks.check_keys(None) == []
    assert checks.check_ports(None) == []
    assert checks.check_database_roles(None, databases=["default", "ops"]) == []


def test_every_check_is_asked(database, settings):
    settings.MASTER_KEYS, settings.ALLOWED_HOSTS, settings.PII_REGION = "m1:short", ["*"], "XX"

    asked = {message.id for message in run_checks(databases=["default", "ops"])}

    assert asked >= {"remembrancer.E001", "remembrancer.E004", "remembrancer.E009"}
    assert checks.check_database_roles in registered.registered_checks


@pytest.mark.parametrize(
    ("setting", "value", "number"),
    [
        ("MASTER_KEYS", "m1:short", "remembrancer.E001"),
        ("SIGNING_KEY", "abc", "remembrancer.E002"),
        ("SECRET_KEY", "hunter2", "remembrancer.E003"),
    ],
)
def test_a_bad_key_is_refused(settings, setting, value, number):
    setattr(settings, setting, value)

    assert numbers(checks.check_keys(None)) == [number]


def test_any_host_is_refused(settings):
    settings.ALLOWED_HOSTS = ["*"]

    assert "remembrancer.E004" in numbers(checks.check_exposure(None))


@pytest.mark.parametrize("region", ["XX", "sg", ""])
def test_a_region_that_nobody_knows_is_refused(settings, region):
    assert checks.check_region(None) == []

    settings.PII_REGION = region

    assert numbers(checks.check_region(None)) == ["remembrancer.E009"]


def test_a_missing_retention_law_is_refused():
    law, registry.lifecycle = registry.lifecycle, None
    try:
        assert numbers(checks.check_ports(None)) == ["remembrancer.E005"]
    finally:
        registry.lifecycle = law


def test_a_request_role_that_owns_the_tables_is_refused(database):
    options = connections["default"].settings_dict["OPTIONS"]
    role = options["assume_role"]
    connections["default"].close()
    options["assume_role"] = role.replace("_app", "_owner")
    try:
        assert numbers(checks.check_database_roles(None, databases=["default"])) == ["remembrancer.E008"]
    finally:
        connections["default"].close()
        options["assume_role"] = role


def test_a_superuser_is_refused(database):
    options = connections["default"].settings_dict["OPTIONS"]
    role = options.pop("assume_role")
    connections["default"].close()
    try:
        assert "remembrancer.E006" in numbers(checks.check_database_roles(None, databases=["default"]))
    finally:
        connections["default"].close()
        options["assume_role"] = role


def test_an_unreachable_database_is_no_finding(database):
    name = connections["default"].settings_dict["NAME"]
    connections["default"].close()
    connections["default"].settings_dict["NAME"] = "nowhere"
    try:
        assert checks.check_database_roles(None, databases=["default"]) == []
    finally:
        connections["default"].close()
        connections["default"].settings_dict["NAME"] = name
