// event: {"at": 1764500000000}
export const handler = async ({ at }) => {
  const date = new Date(at);
  return {
    iso: date.toISOString(), json: JSON.stringify({ date }), day: date.getUTCDay(), zone: date.getTimezoneOffset(), parsed: Date.parse('2026-11-30T12:00:00+02:00'),
    text: date.toString(), utc: date.toUTCString(), local: date.toLocaleDateString('en-US', { timeZone: 'UTC' }),
    number: (1234567.891).toLocaleString('en-US'), invalid: String(new Date('x')),
  };
};
