"""`python -m resources.sandbox`: what it does is in process.py."""

import sys

from resources.sandbox.process import main

sys.exit(main())
