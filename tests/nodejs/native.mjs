// Runs a handler in this machine's Node.js by the rules of AWS's runtime, for comparison with the managed runtime:
// `native.mjs TASK_DIR HANDLER`. Stdin has the facts of the context, the environment variables and the events, as JSON;
// stdout gets, for each event, if it failed, the payload, and the lines of the console as levels and texts. The code is
// written apart from the runtime's: each rule in one place.

import fs from 'node:fs';
import path from 'node:path';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import util from 'node:util';

const [task, name] = [fs.realpathSync(process.argv[2]), process.argv[3]];
const given = JSON.parse(fs.readFileSync(0, 'utf8'));
Object.assign(process.env, given.environment, { LAMBDA_TASK_ROOT: task });
process.chdir(task);

let lines = [];
for (const [method, level] of [['log', 'INFO'], ['info', 'INFO'], ['warn', 'WARN'], ['error', 'ERROR'], ['debug', 'DEBUG']]) {
  console[method] = (...values) => lines.push(`${level}\t${util.format(...values)}`);
}

const fault = (name, message) => Object.assign(new Error(message), { name, stack: '' });

async function load() {
  const slash = name.lastIndexOf('/') + 1;
  const [file, ...members] = name.slice(slash).split('.');
  if (members.length === 0) throw fault('Runtime.MalformedHandlerName', 'Bad handler');
  const base = path.join(task, name.slice(0, slash), file);
  const extension = ['.js', '.mjs', '.cjs'].find((it) => fs.existsSync(base + it));
  if (!extension) {
    const shown = path.relative(task, base);
    throw fault('Runtime.ImportModuleError', `Error: Cannot find module '${shown}'\nRequire stack:\n- /var/runtime/index.mjs`);
  }
  let module;
  try {
    const isModule = extension === '.mjs' || (extension === '.js' && type(path.dirname(base)) === 'module');
    module = isModule ? await import(pathToFileURL(base + extension)) : createRequire(task + '/x.js')(base + extension);
  } catch (error) {
    if (error instanceof SyntaxError) throw fault('Runtime.UserCodeSyntaxError', String(error));
    if (/MODULE_NOT_FOUND/.test(error?.code)) throw fault('Runtime.ImportModuleError', String(error));
    throw error;
  }
  let found = module;
  for (const member of members) found = found?.[member];
  if (!found) throw fault('Runtime.HandlerNotFound', `${name} is undefined or not exported`);
  if (typeof found !== 'function') throw fault('Runtime.HandlerNotFound', `${name} is not a function`);
  return found;
}

function type(directory) {
  const file = path.join(directory, 'package.json');
  if (fs.existsSync(file)) return JSON.parse(fs.readFileSync(file, 'utf8')).type;
  return directory === '/' ? undefined : type(path.dirname(directory));
}

function call(handler, event) {
  const { function_name, function_version, memory_limit_in_mb, invoked_function_arn, log_group_name, aws_request_id } =
    given.context;
  const deadline = Date.now() + 60_000;
  const context = {
    functionName: function_name, functionVersion: function_version, memoryLimitInMB: memory_limit_in_mb,
    invokedFunctionArn: invoked_function_arn, logGroupName: log_group_name, awsRequestId: aws_request_id,
    callbackWaitsForEmptyEventLoop: true, getRemainingTimeInMillis: () => deadline - Date.now(),
  };
  return new Promise((resolve, reject) => {
    const done = (error, value) => {
      const end = () => (error === undefined || error === null ? resolve(value) : reject(error));
      if (context.callbackWaitsForEmptyEventLoop) process.once('beforeExit', end);
      else end();
    };
    Object.assign(context, { done, succeed: (it) => resolve(it), fail: (it) => reject(it) });
    const returned = handler(event, context, done);
    if (typeof returned?.then === 'function') returned.then(resolve, reject);
    process.once('beforeExit', () => setImmediate(() => resolve(null)));
  });
}

function serialized(value) {
  let text;
  try {
    text = JSON.stringify(value === undefined ? null : value);
  } catch {
    throw fault('Error', 'Unable to stringify response body');
  }
  return JSON.parse(text ?? 'null');
}

function failure(error) {
  if (!(error instanceof Error)) return { errorType: typeof error, errorMessage: String(error) };
  return { errorType: error.name, errorMessage: error.message.replaceAll(task, '/var/task') };
}

const results = [];
let handler;
for (const event of given.events) {
  lines = [];
  let result;
  try {
    handler ??= await load();
    result = [false, serialized(await call(handler, event))];
  } catch (error) {
    result = [true, failure(error)];
  }
  process.removeAllListeners('beforeExit');
  results.push([...result, lines.map((it) => it.replaceAll(task, '/var/task'))]);
}
process.stdout.write(JSON.stringify(results), () => process.exit(0));
