from . import prices as prices
