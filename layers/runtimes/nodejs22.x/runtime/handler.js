// Loading of the handler that `_HANDLER` names.

import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { Fault } from 'lamina/errors';

export async function load(name) {
  if (name.includes('..')) {
    const text = `'${name}' is not a valid handler name. Use absolute paths when specifying root directories in handler names.`;
    throw new Fault('Runtime.MalformedHandlerName', text);
  }
  const [, directory, file, path] = /^((?:.*\/)?)([^./]*)\.(.*)$/.exec(name) ?? [];
  if (!file || !path) throw new Fault('Runtime.MalformedHandlerName', 'Bad handler');
  const module = await imported(process.env.LAMBDA_TASK_ROOT ?? '/var/task', join(directory, file));
  const found = path.split('.').reduce((object, key) => object?.[key], module);
  if (!found) throw new Fault('Runtime.HandlerNotFound', `${name} is undefined or not exported`);
  if (typeof found !== 'function') throw new Fault('Runtime.HandlerNotFound', `${name} is not a function`);
  return found;
}

async function imported(root, name) {
  const base = join(root, name);
  const require = createRequire(`${root}/index.js`);
  try {
    if (existsSync(`${base}.js`)) {
      return isModule(base) ? await import(`${base}.js`) : require(`${base}.js`);
    }
    if (existsSync(`${base}.mjs`)) return await import(`${base}.mjs`);
    if (existsSync(`${base}.cjs`)) return require(`${base}.cjs`);
  } catch (error) {
    throw translated(error);
  }
  const text = `Error: Cannot find module '${name}'\nRequire stack:\n- /var/runtime/index.mjs`;
  throw new Fault('Runtime.ImportModuleError', text);
}

/** True for a `.js` file below a `package.json` of type `module`. */
function isModule(file) {
  for (let directory = dirname(file); ; directory = dirname(directory)) {
    try {
      return JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8')).type === 'module';
    } catch (error) {
      if (directory === '/' || directory === '.') return false;
    }
  }
}

function translated(error) {
  if (error instanceof SyntaxError) return withName(error, 'Runtime.UserCodeSyntaxError', String(error));
  if (error?.code === 'MODULE_NOT_FOUND' || error?.code === 'ERR_MODULE_NOT_FOUND') {
    return withName(error, 'Runtime.ImportModuleError', String(error));
  }
  return error;
}

function withName(error, name, message) {
  const fault = new Fault(name, message);
  fault.stack = error.stack;
  return fault;
}
