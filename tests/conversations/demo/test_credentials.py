"""Where the demo's keys are kept."""

import json

from conversations.demo.credentials import TenantKeys, add_keys, read_keys

PAIR = TenantKeys("rmb_one", "rmb_two")


def test_keys_are_kept_beside_what_is_there(tmp_path):
    file = tmp_path / "credentials.json"
    file.write_text('{"url": "http://x", "demo": {"Old": {"api_key": "k"}}}')

    add_keys(file, {"Café": PAIR})

    kept = json.loads(file.read_text())
    assert kept == {
        "url": "http://x",
        "demo": {"Old": {"api_key": "k"}, "Café": {"api_key": "rmb_one", "second_api_key": "rmb_two"}},
    }
    assert read_keys(file) == {"Café": PAIR}


def test_new_file_is_for_its_owner_only(tmp_path):
    file = tmp_path / "deep" / "credentials.json"

    add_keys(file, {"A": PAIR})

    assert file.stat().st_mode & 0o777 == 0o600
    assert list(file.parent.iterdir()) == [file]


def test_no_file_means_no_keys(tmp_path):
    assert read_keys(tmp_path / "none") == {}
