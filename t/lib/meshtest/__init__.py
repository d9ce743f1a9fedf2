# SPDX-License-Identifier: Apache-2.0
"""The test harness: real nginx, real agent, endpoints that tell what they saw.

Everything listens on loopback addresses, ends with its test, and is checked
when it ends: no alerts, no sanitizer text, exit status 0.
"""
