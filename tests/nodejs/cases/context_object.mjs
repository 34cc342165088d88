// event: {}
export const handler = async (event, context) => {
  const left = context.getRemainingTimeInMillis();
  return {
    name: context.functionName, version: context.functionVersion, memory: context.memoryLimitInMB,
    arn: context.invokedFunctionArn, group: context.logGroupName, id: context.awsRequestId.length,
    left: Number.isInteger(left) && left > 50_000 && left <= 60_000, waits: context.callbackWaitsForEmptyEventLoop,
  };
};
