// The console of functions, in the formats of AWS's Node.js runtime.

import { write } from 'lamina:host';
import { format, inspect } from 'node:util';
import { frames, loggedForm } from 'lamina/errors';

/** The invocation in progress. */
export const current = { requestId: undefined, tenantId: undefined };

const LEVELS = ['TRACE', 'DEBUG', 'INFO', 'WARN', 'ERROR', 'FATAL'];
const METHODS = { trace: 'TRACE', debug: 'DEBUG', log: 'INFO', info: 'INFO', warn: 'WARN', error: 'ERROR', fatal: 'FATAL' };

/** Gives the console its formats. */
export function install() {
  const isJson = process.env.AWS_LAMBDA_LOG_FORMAT === 'JSON';
  const least = isJson ? Math.max(LEVELS.indexOf((process.env.AWS_LAMBDA_LOG_LEVEL ?? '').toUpperCase()), 0) : 0;
  const line = isJson ? jsonLine : textLine;
  for (const [method, level] of Object.entries(METHODS)) {
    const isWanted = LEVELS.indexOf(level) >= least;
    console[method] = isWanted ? (...values) => write(line(level, values)) : () => {};
  }
}

/** Logs an error that ends an invocation or the environment. */
export function report(title, error) {
  let text;
  try {
    text = JSON.stringify(loggedForm(error));
  } catch {
    text = inspect(error);
  }
  if (process.env.AWS_LAMBDA_LOG_FORMAT === 'JSON') {
    let message;
    try {
      message = JSON.parse(text);
    } catch {
      message = text;
    }
    write(JSON.stringify({ ...head('ERROR'), message }));
  } else {
    write(`${prefix('ERROR')}\t${title} \t${text}`);
  }
}

const prefix = (level) => `${new Date().toISOString()}\t${current.requestId}\t${level}`;

const textLine = (level, values) => `${prefix(level)}\t${format(...values)}`;

function head(level) {
  const made = { timestamp: new Date().toISOString(), level, requestId: current.requestId };
  if (current.tenantId !== undefined) made.tenantId = current.tenantId;
  return made;
}

function jsonLine(level, values) {
  const made = head(level);
  if (values.length === 1 && typeof values[0] === 'object' && !(values[0] instanceof Error)) {
    made.message = values[0];
  } else {
    made.message = format(...values);
  }
  const error = values.find((it) => it instanceof Error);
  if (error !== undefined) {
    made.errorType = error.name ?? 'UnknownError';
    made.errorMessage = error.message;
    made.stackTrace = frames(error);
  }
  try {
    return JSON.stringify(made);
  } catch {
    return JSON.stringify({ ...made, message: format(...values) });
  }
}
