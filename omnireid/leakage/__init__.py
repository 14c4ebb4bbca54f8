"""Keeps test people out of the training data, whatever number or file name they appear under (IRM, 5.2)."""

from omnireid.leakage.drop_test_people import SHARED, drop_test_people
from omnireid.leakage.fingerprints import Copies, Fingerprints, find_copies, fingerprint
from omnireid.leakage.hash_cache import FOLDER as FINGERPRINTS
from omnireid.leakage.hash_cache import fingerprints_of
from omnireid.leakage.names import SHARED_IMAGES, SharedImages, stem
from omnireid.leakage.people import Leak, LeakageReport, People, Reason

__all__ = [
    "FINGERPRINTS",
    "SHARED",
    "SHARED_IMAGES",
    "Copies",
    "Fingerprints",
    "Leak",
    "LeakageReport",
    "People",
    "Reason",
    "SharedImages",
    "drop_test_people",
    "find_copies",
    "fingerprint",
    "fingerprints_of",
    "stem",
]
