// event: {}
import path from 'node:path';
export const handler = async () => ({
  join: path.join('/a', '..', 'b', './c.txt'), base: path.basename('/x/y.tar.gz', '.gz'), ext: path.extname('a.b.c'),
  dir: path.dirname('/a/b/c'), rel: path.relative('/a/b', '/a/c/d'), norm: path.normalize('/a//b/../c/.'),
  abs: path.isAbsolute('a'), parsed: path.parse('/home/u/file.txt'), win: path.win32.join('a', 'b'), resolved: path.resolve('/a', 'b'),
});
