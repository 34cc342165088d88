// Entry of the runtime: `init` once in each environment, then `invoke` for each event. Both answer with a text: the result
// after `+`, or the failure as JSON.

import Module from 'node:module';
import { end, exit } from 'lamina:host';
import { complete } from 'lamina/builtins';
import { current, install, report } from 'lamina/logs';
import { Fault, failureOf } from 'lamina/errors';
import { load } from 'lamina/handler';
import { contextOf } from 'lamina/context';
import { settled, watchTimers } from 'lamina/timers';
import { streams } from 'lamina/streams';

let handler;
// Ends the step in progress for an error that nothing has caught. The environment ends with it.
let interrupt = () => {};
let isLost = false;

complete();
watchTimers();

export const init = async () => {
  install();
  globalThis.awslambda = streams;
  setPaths();
  setVersion();
  process.chdir(process.env.LAMBDA_TASK_ROOT ?? '/var/task');
  process.exit = process.reallyExit = (code = process.exitCode) => exit(Number(code ?? 0));
  process.abort = () => exit(134);
  process.on('uncaughtException', (error) => lost('Uncaught Exception', error));
  process.on('unhandledRejection', (reason, promise) => {
    lost('Unhandled Promise Rejection', new UnhandledPromiseRejection(reason, promise));
  });
  return step('Uncaught Exception', async () => {
    handler = await load(process.env._HANDLER ?? '');
    return '';
  });
};

export const invoke = async (event, facts) => {
  const known = JSON.parse(facts);
  current.requestId = known.awsRequestId;
  current.tenantId = known.tenantId ?? undefined;
  if (known.traceId) process.env._X_AMZN_TRACE_ID = known.traceId;
  else delete process.env._X_AMZN_TRACE_ID;
  return step('Invoke Error', async () => {
    const result = await called(JSON.parse(event), contextOf(known));
    return serialized(result);
  });
};

class UnhandledPromiseRejection extends Error {
  constructor(reason, promise) {
    super(String(reason));
    this.name = 'Runtime.UnhandledPromiseRejection';
    this.reason = reason;
    this.promise = promise;
  }
}

async function step(title, work) {
  const interrupted = new Promise((_, reject) => (interrupt = reject));
  try {
    return '+' + (await Promise.race([work(), interrupted]));
  } catch (error) {
    if (!isLost) report(title, error);
    return JSON.stringify(failureOf(error));
  } finally {
    interrupt = () => {};
    settled();
  }
}

function lost(title, error) {
  report(title, error);
  isLost = true;
  end();
  interrupt(error);
}

/** Calls the handler in each of the ways in which it may answer. */
function called(event, context) {
  if (handler.isStreaming) return streams.called(handler, event, context);
  return new Promise((resolve, reject) => {
    let isAsync = false;
    const answer = (error, result) => {
      const end = () => (error === undefined || error === null ? resolve(result) : reject(error));
      if (context.callbackWaitsForEmptyEventLoop && !isAsync) process._awaitRuntimeIdle().then(end, reject);
      else end();
    };
    context.done = answer;
    context.succeed = (result) => (settled(), answer(null, result));
    context.fail = (error) => (settled(), answer(error ?? 'handled'));
    const returned = handler(event, context, answer);
    if (typeof returned?.then === 'function') {
      isAsync = true;
      returned.then(resolve, reject);
    }
    // Nothing is left that could answer.
    process._awaitRuntimeIdle().then(() => resolve(null), reject);
  });
}

function serialized(result) {
  try {
    return JSON.stringify(result === undefined ? null : result) ?? 'null';
  } catch {
    throw new Fault('Error', 'Unable to stringify response body');
  }
}

/** CommonJS modules are found in layers too. */
function setPaths() {
  const major = /nodejs(\d+)/.exec(process.env.AWS_EXECUTION_ENV ?? '')?.[1] ?? '22';
  process.env.NODE_PATH ??= `/opt/nodejs/node${major}/node_modules:/opt/nodejs/node_modules:/var/runtime/node_modules:/var/task`;
  Module._initPaths();
}

/** Versions of Node.js that AWS's runtimes have had. */
const VERSIONS = { 18: 'v18.20.8', 20: 'v20.19.5', 22: 'v22.20.0', 24: 'v24.11.0', 26: 'v26.0.0' };

function setVersion() {
  const major = /nodejs(\d+)/.exec(process.env.AWS_EXECUTION_ENV ?? '')?.[1];
  const version = VERSIONS[major] ?? VERSIONS[22];
  Object.defineProperty(process, 'version', { value: version, configurable: true, enumerable: true });
  const versions = { ...process.versions, node: version.slice(1) };
  Object.defineProperty(process, 'versions', { value: versions, configurable: true, enumerable: true });
}
