// Errors in the terms of AWS's Node.js runtime.

import { types } from 'node:util';

/** An error that the runtime found, with AWS's type. */
export class Fault extends Error {
  constructor(name, message) {
    super(message);
    this.name = name;
  }
}

const isError = (it) => types.isNativeError(it) || (it?.name && it.message !== undefined && it.stack !== undefined);

/** The document that the caller gets. */
export function failureOf(error) {
  try {
    if (!isError(error)) return { errorType: typeof error, errorMessage: String(error), trace: [] };
    return { errorType: String(error.name), errorMessage: String(error.message), trace: frames(error) };
  } catch {
    const errorMessage =
      'callback called with Error argument, but there was a problem while retrieving one or more of its message, name, and stack';
    return { errorType: 'handled', errorMessage, trace: [] };
  }
}

/** The object that the log gets: with the error's own members, and its cause. */
export function loggedForm(error) {
  if (!isError(error)) return { errorType: typeof error, errorMessage: String(error), stack: [] };
  const { name, message, stack, ...own } = error;
  const form = { errorType: String(error.name), errorMessage: String(error.message), ...own };
  form.stack = frames(error);
  if (isError(error.cause)) form.cause = loggedForm(error.cause);
  return form;
}

function isConstructor(error, frame) {
  for (let type = error.constructor; type?.name; type = Object.getPrototypeOf(type)) {
    if (new RegExp(`^\\s*at (new )?${type.name.replace(/\W/g, '.')} \\(`).test(frame ?? '')) return true;
  }
  return false;
}

/** Lines of the stack as V8 writes them: the error first, and no frames of the runtime. */
export function frames(error) {
  const lines = String(error.stack ?? '').split('\n').filter((it) => it.trim() !== '');
  const isFrame = (line) => /^\s*at /.test(line);
  const shown = lines.filter((it) => isFrame(it) && !/lamina\/|__wasm_rquickjs|<eval>|\(native\)|\bnode:/.test(it));
  // V8 leaves out the constructors of the error.
  while (isConstructor(error, shown[0])) shown.shift();
  const head = error.message === '' ? String(error.name) : `${error.name}: ${error.message}`;
  return [...head.split('\n'), ...shown.map((it) => `    ${it.trim()}`)];
}
