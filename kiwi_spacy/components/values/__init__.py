"""Values: what the words of results, drugs and times say.

Pure functions on strings, without spaCy. What cannot be read for sure is None: the words stay, and the caller counts them.
"""

from .dates import Order
from .doses import DailyAmount, Dose, Form, Route, Strength, daily_amount, parse_dose, parse_form, parse_route, parse_strength
from .durations import Duration, parse_duration
from .frequencies import Timing, parse_frequency
from .labs import NoValue, Qualitative, Quantity, Range, Ratio, Result, Trend, interpret, parse_reference, parse_result
from .steps import Step, Steps, parse_steps
from .tables import Tables, default_tables, read_tables
from .times import TimeValue, parse_time
from .units import Amount, parse_amount, read_unit

__all__ = [
    "Amount",
    "DailyAmount",
    "Dose",
    "Duration",
    "Form",
    "NoValue",
    "Order",
    "Qualitative",
    "Quantity",
    "Range",
    "Ratio",
    "Result",
    "Route",
    "Step",
    "Steps",
    "Strength",
    "Tables",
    "TimeValue",
    "Timing",
    "Trend",
    "daily_amount",
    "default_tables",
    "interpret",
    "parse_amount",
    "parse_dose",
    "parse_duration",
    "parse_form",
    "parse_frequency",
    "parse_reference",
    "parse_result",
    "parse_route",
    "parse_steps",
    "parse_strength",
    "parse_time",
    "read_tables",
    "read_unit",
]
