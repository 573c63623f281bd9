"""An evidence export, from the button to the downloaded archive."""

import io
import zipfile

import msgspec

from retention.services.audit.sealing import seal_audit
from retention.services.exports.evidence import make_pending_evidence
from tests.admin.browser import Officer


def export_evidence(officer: Officer) -> zipfile.ZipFile:
    """Fill in the export page, let the worker run, and download; the manifest lists every file but itself."""
    officer.fill("Reason", "For the regulator")
    officer.press("Export evidence")
    seal_audit()
    assert make_pending_evidence() == 1
    officer.page.get_by_role("button", name="Download", exact=True).wait_for()
    with officer.page.expect_download() as download:
        officer.press("Download")
    archive = zipfile.ZipFile(io.BytesIO(download.value.path().read_bytes()))
    listed = {file["name"] for file in msgspec.json.decode(archive.read("manifest.json"))["files"]}
    assert listed == set(archive.namelist()) - {"manifest.json"}
    return archive
