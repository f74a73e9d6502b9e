"""Prints the sums of a JUnit report, as pytest and meson write it: PASSED FAILED SKIPPED."""

import sys
import xml.etree.ElementTree

try:
    report = xml.etree.ElementTree.parse(sys.argv[1])
except (OSError, xml.etree.ElementTree.ParseError):
    print(0, 0, 0)
    sys.exit(0)

passed = failed = skipped = 0
for case in report.iter("testcase"):
    outcomes = {child.tag for child in case}
    if outcomes & {"failure", "error"}:
        failed += 1
    elif "skipped" in outcomes:
        skipped += 1
    else:
        passed += 1
print(passed, failed, skipped)
