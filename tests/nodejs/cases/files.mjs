// event: {}
import fs from 'node:fs';
import { mkdir, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
export const handler = async () => {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'case-'));
  await mkdir(`${dir}/a/b`, { recursive: true });
  await writeFile(`${dir}/a/b/file.txt`, 'one\n');
  fs.appendFileSync(`${dir}/a/b/file.txt`, 'two\n');
  const text = await readFile(`${dir}/a/b/file.txt`, 'utf8');
  const size = (await stat(`${dir}/a/b/file.txt`)).size;
  fs.renameSync(`${dir}/a/b/file.txt`, `${dir}/a/moved.txt`);
  const names = (await readdir(`${dir}/a`)).sort();
  let code;
  try { fs.readFileSync(`${dir}/none`); } catch (error) { code = error.code; }
  const own = fs.readFileSync('index.mjs', 'utf8').includes('mkdtempSync');
  await rm(dir, { recursive: true });
  return { text, size, names, code, own, gone: !fs.existsSync(dir) };
};
