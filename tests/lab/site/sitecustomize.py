"""Python reads this when it starts, in the lab the conductor's alone: what one derivation of a key cost is
not spent again on the same password.

For every request to a BMC Ironic derives a key from the BMC's password, by 600,000 rounds that take 0.4 s,
to find the session that it has with that BMC. The lab's BMC has one password, and a server's start takes ten
requests. The keys are the same, and Ironic is not touched.
"""

import functools
import hashlib

hashlib.pbkdf2_hmac = functools.lru_cache(hashlib.pbkdf2_hmac)
