"""How to speak to the platform and to PostgreSQL; what runs, and when, is in `pipelines`."""

from resources.zones import use_newest_zones

use_newest_zones()  # before anybody makes a zone: all processes must agree when a day begins
