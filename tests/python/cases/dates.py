# event: {"at": "2026-11-30T11:52:01+01:00", "text": "30 Nov 2026"}
import calendar
import datetime
import email.utils
import time


def lambda_handler(event, context):
    at = datetime.datetime.fromisoformat(event["at"])
    day = datetime.datetime.strptime(event["text"], "%d %b %Y").date()
    now = time.time()
    return {
        "utc": at.astimezone(datetime.timezone.utc).isoformat(),
        "epoch": at.timestamp(),
        "weekday": day.strftime("%A %j"),
        "later": str(day + datetime.timedelta(days=93)),
        "month": calendar.monthrange(2028, 2),
        "rfc": email.utils.format_datetime(at),
        "now": 1_700_000_000 < now < 5_000_000_000,
        "local": time.tzname[0],
        "moves": time.perf_counter() <= time.perf_counter(),
    }
