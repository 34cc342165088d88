// event: {}
import querystring from 'node:querystring';
import { fileURLToPath, parse, pathToFileURL } from 'node:url';
export const handler = async () => {
  const url = new URL('https://user:pw@example.com:8080/a%20b/../c?x=1&x=2&y=%C3%BC#h');
  url.searchParams.append('z', 'a b&c');
  const parsed = parse('http://h.example/p?q=1');
  return {
    href: url.href, host: url.host, path: url.pathname, all: url.searchParams.getAll('x'), y: url.searchParams.get('y'),
    query: querystring.parse('a=1&b=2&a=3&c=%20'), text: querystring.stringify({ a: [1, 2], b: 'x y' }),
    file: fileURLToPath('file:///tmp/a%20b'), to: pathToFileURL('/tmp/ü').href, old: [parsed.hostname, parsed.query],
    sorted: [...new URLSearchParams({ b: '1', a: '2' })], can: URL.canParse('nope'),
  };
};
