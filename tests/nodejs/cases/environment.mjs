// event: {}
export const handler = async () => ({
  region: process.env.AWS_REGION, name: process.env.AWS_LAMBDA_FUNCTION_NAME, none: process.env.NONE ?? null,
  handler: process.env._HANDLER, memory: process.env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
});
