# SPDX-License-Identifier: Apache-2.0
"""Certificates of the tests' own."""

import subprocess


def self_signed(directory):
    """(certificate, key): files in `directory`."""
    cert, key = directory / "cert.pem", directory / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-subj", "/CN=any", "-days", "2", "-keyout", key, "-out", cert],
        check=True, capture_output=True)
    return cert, key
