// The context object of AWS Lambda.

export function contextOf(facts) {
  const { deadlineMs, clientContext, identity, traceId, tenantId, ...rest } = facts;
  return {
    callbackWaitsForEmptyEventLoop: true,
    functionVersion: rest.functionVersion,
    functionName: rest.functionName,
    memoryLimitInMB: rest.memoryLimitInMB,
    logGroupName: rest.logGroupName,
    logStreamName: rest.logStreamName,
    clientContext: clientContext ? JSON.parse(clientContext) : undefined,
    identity: identity ?? undefined,
    invokedFunctionArn: rest.invokedFunctionArn,
    awsRequestId: rest.awsRequestId,
    tenantId: tenantId ?? undefined,
    getRemainingTimeInMillis: () => Math.max(deadlineMs - Date.now(), 0),
  };
}
